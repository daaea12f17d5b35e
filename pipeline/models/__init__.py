"""Training entropy models on scans, and what can be said of them."""
