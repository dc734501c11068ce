"""Components that fetch, clean and split."""
