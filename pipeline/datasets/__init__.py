"""Data sets of LiDAR scans: layouts on disk, formats of scans, and the synthetic drive."""

from pipeline.datasets.dataset import Dataset
from pipeline.datasets.frame import Frame, FrameSource
from pipeline.datasets.registry import open_dataset
from pipeline.datasets.single_file import read_scan

__all__ = ["Dataset", "Frame", "FrameSource", "open_dataset", "read_scan"]
