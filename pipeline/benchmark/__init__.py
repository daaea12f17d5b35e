"""Measurements of the software itself: ``quinr bench``."""
