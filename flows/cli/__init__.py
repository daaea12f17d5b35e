"""The quinr-flows command."""
