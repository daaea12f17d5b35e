"""quinr bench."""
