"""A bundle's way behind KServe: step by step, watched, and back at the first sign of harm."""
