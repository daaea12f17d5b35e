"""Kodak images through the preview layer."""
