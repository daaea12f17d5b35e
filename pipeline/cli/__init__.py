"""The quinr command."""
