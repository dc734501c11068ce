"""Metrics with intervals, slices, the gate, the report and the model card."""
