"""Every layout of a data set that is understood, and opening what lies at a path."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pipeline.datasets.dataset import Dataset
from pipeline.datasets.folder import Folder
from pipeline.datasets.kitti_odometry import KittiOdometryLayout
from pipeline.datasets.kitti_raw import KittiRawLayout
from pipeline.datasets.layout import Layout, NoScansError
from pipeline.datasets.single_file import SingleFile
from quinr_lidar.errors import DatasetError

LAYOUTS: tuple[Layout, ...] = (KittiRawLayout(), KittiOdometryLayout(), Folder(), SingleFile())
"""The first one that recognises a path opens it."""

EXPECTED = "expected one of\n" + "\n".join(f"  {layout.tree}" for layout in LAYOUTS)
"""What would be understood, for error messages."""


def open_dataset(path: Path | str, sequence: str | None = None) -> Dataset:
    """Open what lies at a path; the layout is recognised and checked at once.

    Args:
        path: A data set in one of :data:`LAYOUTS`, or a single scan.
        sequence: Which drive of a data set that has several; may be left out when there is only
            one. A folder of this name in ``path`` will do as well.

    Raises:
        DatasetError: nothing is there, no layout is recognised, the sequence is not there, or scans
            lie in two places. The message shows the trees that would be understood.
    """
    path = Path(path)
    try:
        return _open(path, sequence)
    except NoScansError as error:
        raise DatasetError(f"{error}\n{EXPECTED}") from error
    except PermissionError as error:
        raise DatasetError(f"{error.filename or path}: cannot be read: {error.strerror}") from error


def _open(path: Path, sequence: str | None) -> Dataset:
    if not path.is_file() and not path.is_dir():
        raise DatasetError(f"{path}: no such file or folder")
    if (drives := _sequences(path)) is not None:
        if sequence is None:
            _check_one_place(path)
        path = _choose(path, drives, sequence)
    elif sequence is not None and (path / sequence).is_dir():
        return _open(path / sequence, None)
    else:
        _check_one_place(path)
    for layout in LAYOUTS:
        if layout.recognises(path):
            return layout.open(path)
    raise NoScansError(f"{path}: not a data set that is understood")


def _sequences(root: Path) -> Mapping[str, Path] | None:
    found = (layout.sequences(root) for layout in LAYOUTS)
    return next((drives for drives in found if drives is not None), None)


def _choose(root: Path, drives: Mapping[str, Path], sequence: str | None) -> Path:
    if sequence is None and len(drives) == 1:
        return next(iter(drives.values()))
    if sequence is None or sequence not in drives:
        wanted = "choose a sequence" if sequence is None else f"no sequence {sequence!r}"
        have = ", ".join(drives) if drives else "none with scans"
        raise NoScansError(f"{root}: {wanted}; there are: {have}")
    return drives[sequence]


def _check_one_place(folder: Path) -> None:
    """Refuse scans in two places: whichever were read, the others would be left out.

    Raises:
        DatasetError: there are.
    """
    below = list((_sequences(folder) or {}).values())[:1]
    found = {
        place
        for drive in [folder, *below]
        for layout in LAYOUTS
        if (place := layout.scans_at(drive)) is not None
    }
    if len(found) > 1:
        first, second, *_ = sorted(found, key=lambda place: len(place.parts))
        raise DatasetError(
            f"{folder}: scans lie in {first} and in {second}: expected them in one place; "
            "move the others away"
        )
