"""Layers of a file: one protocol (``layer.py``), one module a layer, one ``registry.py``."""
