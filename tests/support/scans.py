"""Data sets made of any files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pipeline.datasets import Dataset
from pipeline.datasets.frame import ScanFile
from pipeline.datasets.velodyne import parse_velodyne


def dataset_of(files: Mapping[str, Path]) -> Dataset:
    """A data set named "00" of velodyne files by their frame ids."""
    frames = [ScanFile(frame_id, path, parse_velodyne) for frame_id, path in files.items()]
    return Dataset("00", "folder", frames)


def files_of(dataset: Dataset) -> dict[str, Path]:
    """The files of a data set by their frame ids."""
    return {frame.frame_id: frame.path for frame in dataset.frames()}
