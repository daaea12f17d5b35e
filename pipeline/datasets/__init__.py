"""Data sets of LiDAR scans: readers, and the synthetic drive."""

from pipeline.datasets.dataset import Dataset
from pipeline.datasets.layouts import open_dataset
from pipeline.datasets.velodyne import encode_velodyne, parse_velodyne, read_velodyne

__all__ = ["Dataset", "encode_velodyne", "open_dataset", "parse_velodyne", "read_velodyne"]
