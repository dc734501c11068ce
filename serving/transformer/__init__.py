"""From raw mail to a verdict that points into it: a KServe transformer before the predictor."""
