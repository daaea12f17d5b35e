"""The baselines, a file for each kind."""
