"""Training priors on scans, and what can be said of them."""
