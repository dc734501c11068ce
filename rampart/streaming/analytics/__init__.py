"""What a stream of verdicts says over time: windows, campaigns, and a table to look into."""
