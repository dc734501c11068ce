"""Kubeflow Pipelines components: each a thin shim over library calls."""
