"""What an InferenceGraph's Ensemble leaves to others: several models' answers made into one."""
