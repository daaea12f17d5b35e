"""Packed sequences: a drive's frames as one MCAP and one manifest, made to be kept."""

from pipeline.archive.reader import PackedSequence
from pipeline.archive.writer import PackResult, pack_sequence

__all__ = ["PackResult", "PackedSequence", "pack_sequence"]
