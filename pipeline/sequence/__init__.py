"""Frames of an archived sequence."""
