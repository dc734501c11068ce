"""Components that search for parameters."""
