"""Settings of an archive."""
