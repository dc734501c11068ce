"""Searching for parameters: studies, their workers and what they found."""
