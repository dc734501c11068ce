"""Components that fit."""
