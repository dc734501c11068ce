"""What named features are worth to a model, and what they give away."""
