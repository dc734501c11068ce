"""The engine that answers; free of torch."""
