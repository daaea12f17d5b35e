"""Archived frames against their originals, and what decoded clouds are still good for."""
