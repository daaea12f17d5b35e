"""Kodak images use the preview layer only: each picture of a folder becomes a file."""
