"""What can be said of a text in numbers that a person understands, family by family."""
