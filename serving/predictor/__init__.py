"""The KServe predictor over the engine."""
