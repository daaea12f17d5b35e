"""``quinr bench nightly``: what a nightly run costs beside its encoding: time, memory, database.

The same frames are archived by the flow, with a Prefect server of its own, and by the same jobs and
workers without Prefect, each in a process of its own. Both twice, for few and for many frames: what
begins once a flow cancels out in the difference, and what grows with the frames shows.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from pipeline.archive.layout import MANIFEST, MCAP
from pipeline.archive.target import encoder_settings
from pipeline.archive.writer import pack_sequence
from pipeline.benchmark.machine import describe_machine
from pipeline.config.archive_config import ArchiveConfig
from pipeline.datasets import open_dataset
from pipeline.datasets.velodyne import encode_velodyne
from pipeline.jobs.workers import Workers
from pipeline.sequence.frames import archive_frame
from pipeline.sequence.records import FrameRecord
from pipeline.sequence.sequence import archive_jobs, write_results
from quinr_lidar.errors import StorageError

PARTS = 5
DRIVE = "drive"
DISTINCT = 8
"""Scans of which the drive's are copies."""
SHORT: dict[str, int] = {
    "qubits": 2,
    "features": 4,
    "blocks": 1,
    "steps": 1,
    "warm_steps": 1,
    "batch_size": 64,
    "restarts": 1,
    "refit_groups": 1,
}
"""A field of one step: a frame then costs little but what it costs beside its training."""

_PAUSE = 0.25
"""Seconds between two looks at the processes."""

Run = Mapping[str, Any]
"""One archive of a drive: ``frames``; ``seconds`` of its process; ``parent_bytes``, peak resident
memory of the process without its workers; ``server_bytes``, that of Prefect's server, and
``database_bytes``, the size of its database afterwards, both ``None`` without Prefect;
``manifest_bytes`` and ``mcap_bytes``, sizes of the archive's files."""


def bench_nightly(
    folder: Path,
    *,
    frames: int,
    points: int,
    workers: int,
    progress: Callable[[str], object] = lambda _: None,
) -> dict[str, Any]:
    """Archive a drive of so many frames, and one of an eighth, with and without Prefect.

    There are at least 16 frames, ``folder`` is empty, and ``progress`` is called with the name of
    each of the :data:`PARTS` parts before it begins.

    Returns:
        A document of JSON's types: both runs of both kinds, and ``costs``, see :func:`costs_of`.

    Raises:
        StorageError: the disk is full, or a run did not end well.
    """
    plain, flow = [], []
    for count in (frames // 8, frames):
        drive = write_copies(folder / f"scans-{count}" / DRIVE, count, points)
        progress(f"{count} frames without Prefect")
        plain.append(_without_prefect(drive, folder / f"plain-{count}", workers))
        progress(f"{count} frames by the flow")
        flow.append(_by_the_flow(drive, folder / f"flow-{count}", workers))
    progress("frames of full size")
    seconds = real_frame_seconds(folder / "real")
    return {
        "workers": workers,
        "points": points,
        "settings": SHORT,
        "plain": plain,
        "flow": flow,
        "costs": costs_of(plain, flow, workers, seconds),
        "machine": describe_machine(),
    }


def costs_of(
    plain: list[Run], flow: list[Run], workers: int, frame_seconds: float
) -> dict[str, float]:
    """What Prefect costs, from the smaller and the larger drive without it and by the flow.

    Returns:
        ``start_seconds``: once a flow. ``prefect_seconds_per_frame``: time that the flow takes
        longer for each further frame. ``prefect_share``: share of the larger drive's time, both
        included, and ``prefect_share_of_real_frames``, if its frames took one worker
        ``frame_seconds``. Noise may make any of them negative. Growth by each frame:
        ``parent_bytes_per_frame`` of the flow's process, ``plain_parent_bytes_per_frame`` of the
        one without Prefect, and those of the server, the database and the manifest.
    """

    def slope(runs: list[Run], name: str) -> float:
        few, many = runs
        return (many[name] - few[name]) / (many["frames"] - few["frames"])

    longer = slope(flow, "seconds") - slope(plain, "seconds")
    few, many = flow
    start = few["seconds"] - plain[0]["seconds"] - longer * few["frames"]
    cost, real = start + longer * many["frames"], many["frames"] * frame_seconds / workers
    growing = ("parent_bytes", "server_bytes", "manifest_bytes", "database_bytes")
    return {
        "start_seconds": start,
        "prefect_seconds_per_frame": longer,
        "prefect_share": 1 - plain[1]["seconds"] / many["seconds"],
        "real_frame_seconds": frame_seconds,
        "prefect_share_of_real_frames": cost / (real + cost),
        **{f"{name}_per_frame": slope(flow, name) for name in growing},
        "plain_parent_bytes_per_frame": slope(plain, "parent_bytes"),
    }


def write_copies(folder: Path, count: int, points: int) -> Path:
    """A drive of copies of a few scans of random points, each under an id of its own.

    Raises:
        StorageError: the folder exists, or the disk is full.
    """
    clouds = [
        np.random.default_rng(seed).normal(scale=(15, 15, 1), size=(points, 3))
        for seed in range(DISTINCT)
    ]
    try:
        folder.mkdir(parents=True)
        for index in range(count):
            scan = encode_velodyne(clouds[index % DISTINCT])
            (folder / f"{index:06d}.bin").write_bytes(scan)
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror}") from error
    return folder


def archive_plainly(
    drive: str,
    out: str,
    workers: int,
    settings: Mapping[str, int] = SHORT,
    report: Callable[[FrameRecord], None] | None = None,
) -> None:
    """Archive a drive as the flow does, without Prefect.

    Raises:
        StorageError: a frame failed.
    """
    folder = Path(out) / Path(drive).name
    chosen, _ = encoder_settings(folder, ArchiveConfig(overrides=dict(settings)))
    jobs = archive_jobs(open_dataset(Path(drive)), Path(out), chosen)
    with Workers[FrameRecord](workers, report) as pool:
        records = pool.run(archive_frame, jobs)
    if bad := [record.error for record in records if record.status != "ok"]:
        raise StorageError(f"{folder}: {bad[0]}")
    write_results(folder, records, chosen.as_dict())
    pack_sequence(folder, records=records, settings=chosen)


def real_frame_seconds(folder: Path, count: int = 5) -> float:
    """Seconds that a further frame of a synthetic drive takes one worker with a flow's settings.

    The first of ``count`` frames starts cold and does not count, nor does the worker's start.
    """
    # Open3D takes seconds to import.
    from pipeline.datasets.synthetic import write_drive

    write_drive(folder / "drive", frames=count)
    drive, ends = folder / "drive" / "sequences" / "00", list[float]()
    report: Callable[[FrameRecord], None] = lambda _: ends.append(time.perf_counter())  # noqa: E731
    archive_plainly(str(drive), str(folder / "archive"), 1, {}, report)
    return (ends[-1] - ends[0]) / (count - 1)


def _without_prefect(drive: Path, out: Path, workers: int) -> Run:
    code = f"from {__name__} import archive_plainly as archive; "
    code += f"archive({str(drive)!r}, {str(out)!r}, {workers})"
    watched = watch([sys.executable, "-c", code], out, dict(os.environ))
    return _run(drive, out, watched | {"server_bytes": None, "database_bytes": None})


def _by_the_flow(drive: Path, out: Path, workers: int) -> Run:
    home = out / "prefect"
    home.mkdir(parents=True)
    command = [sys.executable, "-m", "flows.cli.main", "archive", str(drive), str(out)]
    command += ["--workers", str(workers), "--json"]
    command += [part for name, value in SHORT.items() for part in ("--set", f"{name}={value}")]
    own = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    watched = watch(command, out, own | {"PREFECT_HOME": str(home)})
    database = sum(path.stat().st_size for path in home.glob("prefect.db*"))
    return _run(drive, out, watched | {"database_bytes": database})


def watch(command: list[str], out: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Run a command: its seconds, and peaks of resident memory of it and of Prefect's server.

    Raises:
        StorageError: it did not end well.
    """
    out.mkdir(parents=True, exist_ok=True)
    log, began, parent, server = out / "log", time.perf_counter(), 0, 0
    with log.open("wb") as lines:
        process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=lines, env=environment)
        while process.poll() is None:
            with suppress(psutil.NoSuchProcess):  # a child may end while it is looked at
                parent = max(parent, process.memory_info().rss)
                for child in process.children(recursive=True):
                    if any("prefect.server" in part for part in child.cmdline()):
                        server = max(server, child.memory_info().rss)
            time.sleep(_PAUSE)
    if process.returncode:
        last = log.read_text(errors="replace").strip().rpartition("\n")[2]
        raise StorageError(f"{out}: it ended with {process.returncode}: {last}")
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "parent_bytes": parent, "server_bytes": server}


def _run(drive: Path, out: Path, watched: dict[str, Any]) -> Run:
    files = {"manifest_bytes": MANIFEST, "mcap_bytes": MCAP}
    sizes = {key: (out / drive.name / name).stat().st_size for key, name in files.items()}
    return {"frames": len(open_dataset(drive).frame_ids)} | watched | sizes
