"""Recognising a data set from its path.

pykitti reads complete KITTI layouts; plain velodyne folders, which is what a person has who
downloaded only the scans, need nothing but the scans.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pykitti

from pipeline.datasets.dataset import Dataset
from quinr_lidar.errors import DatasetError

EXPECTED = """expected one of
  ROOT/sequences/00/velodyne/000000.bin ..   a KITTI odometry data set (choose a sequence)
  ROOT/<date>/<drive>_sync/velodyne_points/data/0000000000.bin ..   a KITTI raw drive
  FOLDER/velodyne/*.bin or FOLDER/*.bin   a folder of scans
  SCAN.bin   a single scan"""


def open_dataset(path: Path | str, sequence: str | None = None) -> Dataset:
    """Open what lies at a path; the layout is guessed and checked at once.

    Args:
        path: Root of a KITTI odometry data set, a sequence, a KITTI raw drive, a folder of
            ``.bin`` scans, or a single scan.
        sequence: Which sequence of a root; may be left out when there is only one.

    Raises:
        DatasetError: nothing there, no layout recognised, the sequence is not there, or scans lie
            in two places. The message shows the trees that would be understood.
    """
    path = Path(path)
    try:
        if path.is_file():
            return Dataset(path.parent.name or "scan", "file", {path.stem: path})
        if not path.is_dir():
            raise DatasetError(f"{path}: no such file or folder")
        if (path / "sequences").is_dir():
            if sequence is None:
                _check_one_place(path)
            return _open_odometry(_choose_sequence(path, sequence))
        if sequence is not None and (path / sequence).is_dir():
            return open_dataset(path / sequence)
        _check_one_place(path)
        if (path / "velodyne_points" / "data").is_dir():
            return _open_raw(path)
        if (path / "velodyne").is_dir():
            return _open_odometry(path)
        return Dataset(_folder_name(path), "folder", _scans(path))
    except PermissionError as error:
        raise DatasetError(f"{error.filename or path}: cannot be read: {error.strerror}") from error


def _check_one_place(folder: Path) -> None:
    """Scans in two places of a folder: whichever were read, the others would be left out.

    Raises:
        DatasetError: there are.
    """
    places = [folder, folder / "velodyne", folder / "velodyne_points" / "data"]
    places += sorted((folder / "sequences").glob("*/velodyne"))[:1]
    found = [place for place in places if any(_scan_files(place))]
    if len(found) > 1:
        raise DatasetError(
            f"{folder}: scans lie in {found[0]} and in {found[1]}: expected them in one place; "
            "move the others away"
        )


def _choose_sequence(root: Path, sequence: str | None) -> Path:
    found = sorted(
        folder.name for folder in (root / "sequences").iterdir() if (folder / "velodyne").is_dir()
    )
    if sequence is None and len(found) == 1:
        sequence = found[0]
    if sequence not in found:
        wanted = "choose a sequence" if sequence is None else f"no sequence {sequence!r}"
        have = ", ".join(found) if found else "none with a velodyne folder"
        raise DatasetError(f"{root}: {wanted}; there are: {have}\n{EXPECTED}")
    return root / "sequences" / sequence


def _open_odometry(folder: Path) -> Dataset:
    """A sequence folder; times come through pykitti when calib.txt and times.txt are there."""
    files = _scans(folder / "velodyne")
    name = _folder_name(folder)
    complete = all((folder / needed).is_file() for needed in ("calib.txt", "times.txt"))
    if not complete or folder.parent.name != "sequences":
        return Dataset(name, "folder", files)
    try:
        loaded = pykitti.odometry(str(folder.parent.parent), name)
    except (KeyError, ValueError, IndexError, OverflowError) as error:
        raise DatasetError(
            f"{folder}: calib.txt or times.txt cannot be understood ({type(error).__name__}: "
            f"{error}); expected KITTI's P0..P3 and Tr, and one time a line"
        ) from error
    times = [time.total_seconds() for time in loaded.timestamps]
    # times.txt counts every frame of the sequence: a scan's id is its line.
    stamps = {
        frame: times[int(frame)]
        for frame in files
        if frame.isascii() and frame.isdigit() and int(frame) < len(times)
    }
    return Dataset(name, "kitti-odometry", files, stamps)


def _open_raw(drive: Path) -> Dataset:
    """A synced raw drive. Scans may miss from the folder (drive 0009 lacks four of them)."""
    files = _scans(drive / "velodyne_points" / "data")
    name = drive.name
    match = re.fullmatch(r"(\d{4}_\d\d_\d\d)_drive_(\d{4})_(sync|extract)", name)
    stamp_file = drive / "velodyne_points" / "timestamps.txt"
    if not match or not stamp_file.is_file() or drive.parent.name != match[1]:
        return Dataset(name, "folder", files)
    calibrated = all(
        (drive.parent / f"calib_{part}.txt").is_file()
        for part in ("cam_to_cam", "imu_to_velo", "velo_to_cam")
    )
    if not calibrated or not (drive / "oxts" / "data").is_dir():
        return Dataset(name, "folder", files, _raw_times(stamp_file, files))
    try:
        loaded = pykitti.raw(str(drive.parent.parent), match[1], match[2], dataset=match[3])
    except (KeyError, ValueError, IndexError, OverflowError, OSError) as error:
        raise DatasetError(f"{drive}: pykitti cannot read the drive: {error}") from error
    scans = {Path(name).stem: Path(name) for name in loaded.velo_files}
    return Dataset(name, "kitti-raw", scans, _raw_times(stamp_file, scans))


def _raw_times(stamp_file: Path, files: dict[str, Path]) -> dict[str, float]:
    """Seconds of the velodyne's own clock; line k of the file is frame k, scans may be missing."""
    times: dict[str, float] = {}
    # What is no text is no time either, and is named with its line.
    for index, line in enumerate(stamp_file.read_text(errors="replace").splitlines()):
        frame = f"{index:010d}"
        if frame in files and line.strip():
            try:
                # Nanoseconds are more digits than datetime takes.
                times[frame] = datetime.fromisoformat(line.strip()[:26] + "+00:00").timestamp()
            except ValueError as error:
                raise DatasetError(
                    f"{stamp_file}: line {index + 1}: expected a date and time, got {line!r}"
                ) from error
    return times


def _scans(folder: Path) -> dict[str, Path]:
    """Scans by frame id: numbers in numerical order, then names."""
    found = list(_scan_files(folder))
    if not found:
        raise DatasetError(f"{folder}: no .bin scans in it\n{EXPECTED}")
    found.sort(key=lambda entry: (not entry.stem.isdigit(), entry.stem.zfill(20), entry.stem))
    return {entry.stem: entry for entry in found}


def _scan_files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        for entry in folder.iterdir():
            if entry.suffix == ".bin" and not entry.name.startswith(".") and entry.is_file():
                yield entry


def _folder_name(folder: Path) -> str:
    resolved = folder.resolve()
    return resolved.parent.name if resolved.name == "velodyne" else resolved.name
