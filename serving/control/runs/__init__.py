"""What runs: on this machine in processes of their own, or in Kubeflow Pipelines."""
