"""Container images and what builds them."""
