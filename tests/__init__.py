"""A package, so that it comes before the one of the same name that textstat installs."""
