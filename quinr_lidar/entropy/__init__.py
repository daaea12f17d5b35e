"""Entropy coding: models, coders, and what models learn from."""
