"""Entropy models of drives: training them, choosing one, keeping it with an archive."""
