"""Packed sequences: a drive's frames as one MCAP and one manifest, made to be kept."""

from pipeline.archive.reader import PackedSequence
from pipeline.archive.writer import Packed, pack_sequence

__all__ = ["Packed", "PackedSequence", "pack_sequence"]
