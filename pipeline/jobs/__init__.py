"""Jobs, their records, and where they run."""
