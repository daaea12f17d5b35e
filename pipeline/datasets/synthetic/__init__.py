"""A synthetic drive: an HDL-64E ray-cast through a procedural street, in KITTI's layout."""

from pipeline.datasets.synthetic.drive import scan_frame, write_drive

__all__ = ["scan_frame", "write_drive"]
