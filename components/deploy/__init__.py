"""Components that register and roll out."""
