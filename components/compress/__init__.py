"""Components that make a model smaller or faster."""
