"""Ways to make one logit of several."""
