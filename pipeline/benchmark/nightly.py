"""What a nightly run costs beside its encoding: Prefect's time, memory, database.

The same frames are archived by the flow, with a Prefect server of its own, and by the same jobs and
workers without Prefect, each in a process of its own. Both twice, for few and for many frames: what
begins once a flow cancels out in the difference, and what grows with the frames shows.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from pipeline.archive.layout import MANIFEST, MCAP
from pipeline.archive.writer import pack_sequence
from pipeline.benchmark.machine import describe_machine
from pipeline.config.archive_config import ArchiveConfig
from pipeline.datasets import open_dataset
from pipeline.datasets.velodyne import encode_velodyne
from pipeline.jobs.workers import Workers
from pipeline.sequence.frames import archive_frame
from pipeline.sequence.records import FrameRecord
from pipeline.sequence.sequence import archive_jobs, write_results
from pipeline.sequence.target import encoder_settings
from quinr_lidar.errors import StorageError

DRIVE = "drive"
DISTINCT = 8
"""Scans of which the drive's are copies."""

SHORT: dict[str, int | str] = {
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


@dataclass(frozen=True)
class NightlyRun:
    """One archive of a drive.

    Attributes:
        frames: Of the drive.
        seconds: From the start of the process to its end.
        parent_bytes: Peak resident memory of the process, without its workers.
        server_bytes: Likewise of Prefect's server; ``None`` without Prefect, as is the next.
        database_bytes: Prefect's, afterwards.
        manifest_bytes: Size of the manifest.
        mcap_bytes: Size of the MCAP.
    """

    frames: int
    seconds: float
    parent_bytes: int
    server_bytes: int | None
    database_bytes: int | None
    manifest_bytes: int
    mcap_bytes: int


def bench_nightly(
    folder: Path,
    *,
    frames: int,
    points: int,
    jobs: int,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Archive a drive of so many frames, and one of an eighth, with and without Prefect.

    Args:
        folder: Empty, for everything.
        frames: Of the larger drive, at least 16.
        points: Of a scan.
        jobs: Worker processes.
        progress: Called before each of the five parts, with its name.

    Returns:
        A document of JSON's types: both runs of both kinds, and what they come to, see
        :func:`costs_of`.

    Raises:
        StorageError: the disk is full, or a run did not end well.
    """
    runs: dict[str, list[NightlyRun]] = {"workers": [], "flow": []}
    for count in (frames // 8, frames):
        drive = write_copies(folder / f"scans-{count}" / DRIVE, count, points)
        progress(f"{count} frames without Prefect")
        runs["workers"].append(_without_prefect(drive, folder / f"workers-{count}", jobs))
        progress(f"{count} frames by the flow")
        runs["flow"].append(_by_the_flow(drive, folder / f"flow-{count}", jobs))
    progress("frames of full size")
    frame_seconds = real_frame_seconds(folder / "real")
    return {
        "jobs": jobs,
        "points": points,
        "settings": SHORT,
        "workers": [asdict(run) for run in runs["workers"]],
        "flow": [asdict(run) for run in runs["flow"]],
        **costs_of(runs["workers"], runs["flow"], jobs, frame_seconds),
        "machine": describe_machine(),
    }


def costs_of(
    workers: list[NightlyRun], flow: list[NightlyRun], jobs: int, frame_seconds: float
) -> dict[str, Any]:
    """What Prefect costs.

    Args:
        workers: The smaller and the larger drive without Prefect.
        flow: The same by the flow.
        jobs: Worker processes of all.
        frame_seconds: That a real frame takes one worker.

    Returns:
        ``start_seconds``: once a flow. ``prefect_seconds_per_frame``: time that the flow takes
        longer for each further frame. ``prefect_share``: of the larger drive's time, both included,
        and ``prefect_share_of_real_frames``, were its frames real ones. Noise may make any of them
        negative. ``parent_bytes_per_frame``: growth of the flow's process, and
        ``plain_parent_bytes_per_frame`` of the one without Prefect; likewise those of the server,
        the database and the manifest.
    """
    slope = _slope(flow, "seconds") - _slope(workers, "seconds")
    few, many = flow
    start = few.seconds - workers[0].seconds - slope * few.frames
    real = many.frames * frame_seconds / jobs
    cost = start + slope * many.frames
    return {
        "start_seconds": start,
        "prefect_seconds_per_frame": slope,
        "prefect_share": 1 - workers[1].seconds / many.seconds,
        "real_frame_seconds": frame_seconds,
        "prefect_share_of_real_frames": cost / (real + cost),
        "parent_bytes_per_frame": _slope(flow, "parent_bytes"),
        "plain_parent_bytes_per_frame": _slope(workers, "parent_bytes"),
        "server_bytes_per_frame": _slope(flow, "server_bytes"),
        "manifest_bytes_per_frame": _slope(flow, "manifest_bytes"),
        "database_bytes_per_frame": _slope(flow, "database_bytes"),
    }


def _slope(runs: list[NightlyRun], name: str) -> float:
    few, many = runs
    return (getattr(many, name) - getattr(few, name)) / (many.frames - few.frames)


def write_copies(folder: Path, count: int, points: int) -> Path:
    """A drive of copies of a few scans of random points, under ids of their own.

    Raises:
        StorageError: the disk is full, say.
    """
    scans = []
    for seed in range(DISTINCT):
        cloud = np.random.default_rng(seed).normal(scale=(15, 15, 1), size=(points, 3))
        scans.append(encode_velodyne(cloud))
    try:
        folder.mkdir(parents=True)
        for index in range(count):
            (folder / f"{index:06d}.bin").write_bytes(scans[index % DISTINCT])
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror}") from error
    return folder


def _without_prefect(drive: Path, out: Path, jobs: int) -> NightlyRun:
    out.mkdir(parents=True)
    code = f"from {__name__} import archive_plainly as archive; "
    code += f"archive({str(drive)!r}, {str(out)!r}, {jobs})"
    seconds, parent, _ = _watched([sys.executable, "-c", code], out, dict(os.environ))
    return _run(out / drive.name, _count(drive), seconds, parent)


def archive_plainly(drive: str, out: str, jobs: int) -> None:
    """What the flow does with :data:`SHORT`, by hand; run in a process of its own.

    Raises:
        StorageError: a frame failed.
    """
    _archive(Path(drive), Path(out), jobs, SHORT)


def _archive(
    drive: Path,
    out: Path,
    jobs: int,
    settings: dict[str, int | str],
    report: Callable[[FrameRecord], None] | None = None,
) -> None:
    folder = out / drive.name
    chosen, _ = encoder_settings(folder, ArchiveConfig(overrides=dict(settings)))
    frames = archive_jobs(open_dataset(drive), out, chosen)
    with Workers[FrameRecord](jobs, report) as workers:
        records = workers.run(archive_frame, frames)
    bad = [record.error for record in records if record.status != "ok"]
    if bad:
        raise StorageError(f"{folder}: {bad[0]}")
    write_results(folder, records, chosen.as_dict())
    pack_sequence(folder, records=records, settings=chosen)


def _by_the_flow(drive: Path, out: Path, jobs: int) -> NightlyRun:
    home = out / "prefect"
    home.mkdir(parents=True)
    command = [sys.executable, "-m", "flows.cli.main", "archive", str(drive), str(out)]
    command += ["--workers", str(jobs), "--json"]
    command += [part for name, value in SHORT.items() for part in ("--set", f"{name}={value}")]
    own = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    seconds, parent, server = _watched(command, out, own | {"PREFECT_HOME": str(home)})
    database = sum(path.stat().st_size for path in home.glob("prefect.db*"))
    return _run(out / drive.name, _count(drive), seconds, parent, server, database)


def _watched(command: list[str], out: Path, environment: dict[str, str]) -> tuple[float, int, int]:
    """Run a command: its seconds, and peaks of resident memory of it and of Prefect's server.

    Raises:
        StorageError: it did not end well.
    """
    log = out / "log"
    began = time.perf_counter()
    with log.open("wb") as lines:
        process = subprocess.Popen(  # noqa: S603 (our own command)
            command, stdout=subprocess.DEVNULL, stderr=lines, env=environment
        )
        parent, server = _watch(process)
    seconds = time.perf_counter() - began
    if process.returncode:
        last = log.read_text(errors="replace").strip().rpartition("\n")[2]
        raise StorageError(f"{out}: it ended with {process.returncode}: {last}")
    return seconds, parent, server


def _watch(process: subprocess.Popen[bytes]) -> tuple[int, int]:
    parent = server = 0
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):  # a child may end while it is looked at
            parent = max(parent, watched.memory_info().rss)
            for child in watched.children(recursive=True):
                if _is_server(child):
                    server = max(server, child.memory_info().rss)
        time.sleep(_PAUSE)
    return parent, server


def _is_server(process: psutil.Process) -> bool:
    return any("prefect.server" in part for part in process.cmdline())


def _count(drive: Path) -> int:
    return len(open_dataset(drive).frame_ids)


def _run(
    folder: Path,
    frames: int,
    seconds: float,
    parent: int,
    server: int | None = None,
    database: int | None = None,
) -> NightlyRun:
    manifest, mcap = ((folder / name).stat().st_size for name in (MANIFEST, MCAP))
    return NightlyRun(frames, seconds, parent, server, database, manifest, mcap)


def real_frame_seconds(folder: Path, count: int = 5) -> float:
    """What a further frame of a synthetic drive takes one worker with the settings that flows have.

    Args:
        folder: For the drive and its archive.
        count: Frames; the first one starts cold, and does not count, nor does the worker's start.
    """
    # Open3D takes seconds to import.
    from pipeline.datasets.synthetic import write_drive

    write_drive(folder / "drive", frames=count)
    ends: list[float] = []
    _archive(
        folder / "drive" / "sequences" / "00",
        folder / "archive",
        1,
        {},
        lambda _: ends.append(time.perf_counter()),
    )
    return (ends[-1] - ends[0]) / (count - 1)
