"""Processes that answer on a network."""
