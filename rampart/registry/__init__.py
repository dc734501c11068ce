"""Runs, versions and aliases in MLflow."""
