"""Writing a synthetic drive as a complete KITTI odometry data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.kitti_odometry import FRAME_SECONDS, scan_path, sequence_folder
from pipeline.datasets.synthetic.calibration import calibration_text, camera_pose, pose_line
from pipeline.datasets.synthetic.hdl64e import scan
from pipeline.datasets.synthetic.mesh import merge
from pipeline.datasets.synthetic.street import street_around, traffic
from pipeline.datasets.synthetic.trajectory import METRES_PER_FRAME, Road
from pipeline.datasets.velodyne import encode_velodyne
from pipeline.storage.files import write_atomically
from quinr_lidar.errors import DatasetError

MAX_FRAMES = 1_000_000
"""Frame ids have six digits."""


def write_drive(
    folder: Path | str,
    *,
    frames: int,
    seed: int = 0,
    sequence: str = "00",
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Write a drive through a procedural street, as KITTI's odometry benchmark lays it out.

    The same arguments give the same bytes, and frame k does not depend on how many frames
    there are. Frames are cast one after the other: memory does not grow with their number.
    Scans are corrected for the motion of the sensor's own car within a turn, as KITTI's are.

    Args:
        folder: Root of the data set; made if missing.
        frames: Number of frames, 1 to 1000000.
        seed: Chooses street, traffic and noise, >= 0.
        sequence: Name of the sequence's folder.
        progress: Called with the number of frames written so far, after each.

    Returns:
        The root, as a :class:`~pathlib.Path`: ``sequences/<sequence>/velodyne/%06d.bin``,
        ``times.txt``, ``calib.txt`` beside it, and ``poses/<sequence>.txt``.

    Raises:
        DatasetError: an argument is out of range, or the sequence has scans already that this
            drive would not overwrite.
        StorageError: a file cannot be written.
        BackendError: Open3D cannot be imported.
    """
    _check(frames, seed, sequence)
    root = Path(folder)
    place = sequence_folder(root, sequence)
    _refuse_other_scans(place / "velodyne", frames)
    road = make_road(frames, seed)
    for frame in range(frames):
        points = scan_frame(road, frame)
        write_atomically(scan_path(root, sequence, f"{frame:06d}"), encode_velodyne(points))
        if progress is not None:
            progress(frame + 1)
    first = road.sensor_pose(0)
    poses = [pose_line(camera_pose(first, road.sensor_pose(frame))) for frame in range(frames)]
    times = [f"{frame * FRAME_SECONDS:.6e}" for frame in range(frames)]
    write_atomically(place / "calib.txt", calibration_text().encode())
    write_atomically(root / "poses" / f"{sequence}.txt", _lines(poses))
    # Last: a sequence that has its times is complete.
    write_atomically(place / "times.txt", _lines(times))
    return root


def make_road(frames: int, seed: int) -> Road:
    """The road of a drive; its first metres do not depend on its length."""
    return Road(seed, frames * METRES_PER_FRAME)


def scan_frame(road: Road, frame: int) -> NDArray[np.float32]:
    """Cast one frame: float32 [N, 4], x, y, z in metres in the sensor's frame, reflectance.

    Args:
        road: See :func:`make_road`.
        frame: Which frame, from 0 to the road's length.
    """
    scene = merge([street_around(road, road.ego_along(frame)), traffic(road, frame)])
    rng = np.random.default_rng([road.seed, 5, frame])
    return scan(scene, road.sensor_pose(frame), METRES_PER_FRAME, rng)


def _check(frames: int, seed: int, sequence: str) -> None:
    if not 1 <= frames <= MAX_FRAMES:
        raise DatasetError(f"frames: expected 1..{MAX_FRAMES}, got {frames}")
    if seed < 0:
        raise DatasetError(f"seed: expected 0 or more, got {seed}")
    if not sequence or sequence in (".", "..") or Path(sequence).name != sequence:
        raise DatasetError(f"sequence: expected the name of a folder, got {sequence!r}")


def _refuse_other_scans(folder: Path, frames: int) -> None:
    """Scans of a longer or another drive would silently become part of this one."""
    if not folder.is_dir():
        return
    own = {f"{frame:06d}.bin" for frame in range(frames)}
    others = sorted(file.name for file in folder.glob("*.bin") if file.name not in own)
    if others:
        raise DatasetError(
            f"{folder}: holds {len(others)} other scans (first: {others[0]}); "
            f"choose another folder or sequence"
        )


def _lines(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()
