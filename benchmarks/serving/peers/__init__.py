"""The same engine behind other servers, each as its own documentation has it done."""
