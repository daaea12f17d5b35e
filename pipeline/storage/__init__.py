"""Files, locks, journals, local and remote places."""
