"""Fitting the base models and their calibration."""
