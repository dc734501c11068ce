"""Pipelines: each composes components and nothing else."""
