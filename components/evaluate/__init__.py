"""Components that measure and decide."""
