"""The main job on a synthetic drive: archive, restore, evaluate, and show what came of it."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from typing import Any

from prefect.client.schemas.objects import State
from tqdm import tqdm

from flows.archive_sequence import archive_sequence
from flows.evaluate_archive import evaluate_archive
from flows.restore_sequence import restore_sequence
from pipeline.cli.console import bar_to, print_table
from pipeline.config.archive_config import ArchiveConfig
from pipeline.datasets import open_dataset
from pipeline.evaluation.archive.requests import REPORT_FOLDER
from pipeline.evaluation.files import measure_sequence
from pipeline.evaluation.tasks import TaskSettings, check_odometry
from pipeline.report.archive_report import PAGE
from pipeline.sequence.frames import decode_file
from pipeline.sequence.records import frame_path
from pipeline.sequence.sequence import table_rows
from pipeline.storage.files import read_bytes, write_atomically, write_json_atomically
from pipeline.viewing.frame_figure import figure_png, frame_figure
from quinr_lidar.errors import BackendError, DatasetError

SEQUENCE = "00"
KEYFRAME_INTERVAL = 4
"""Shorter than the profile's, or so few frames would keep one worker only busy."""


def run_demo(
    out: Path,
    *,
    frames: int,
    seed: int,
    steps: int | None = None,
    max_error: float | None = None,
) -> dict[str, Any]:
    """Run the whole main job under ``out`` and write results, table and picture there.

    Running it again resumes: finished frames are not encoded twice.

    Args:
        out: Folder for everything.
        frames: Scans of the drive.
        seed: Another seed makes another street.
        steps: Training steps of a cold start; the profile's when ``None``.
        max_error: Largest error of a range, metres; the profile's when ``None``.

    Returns:
        Results as :func:`pipeline.sequence.sequence.results_of` forms them.

    Raises:
        DatasetError: a flow failed.
    """
    began = time.perf_counter()
    drive = out / "drive"
    overrides = {"keyframe_interval": KEYFRAME_INTERVAL} | _training(steps)
    config = ArchiveConfig(overrides=overrides, max_error=max_error)
    _synthesise(drive, frames, seed)
    _check(archive_sequence(str(drive), str(out / "archive"), config, SEQUENCE, return_state=True))
    folder = out / "archive" / SEQUENCE
    _check(restore_sequence(str(folder), str(out / "restored"), return_state=True))
    _evaluate(folder, drive)
    results, records = measure_sequence(drive, folder, SEQUENCE)
    write_json_atomically(out / "results.json", results)
    picture = _picture(drive, folder, results["frame_ids"][0], out)
    print_table(table_rows(records), f"{len(records)} frames of a synthetic drive")
    restored = len(open_dataset(out / "restored", SEQUENCE).frame_ids)
    figures = results["summary"]
    print(f"archive   {folder}")
    print(
        f"max error {figures['max_error_m']['max']:g} m promised, "
        f"largest error {figures['largest_error_m']['max']:.5f} m"
    )
    print(f"restored  {out / 'restored'} ({restored} scans, KITTI layout)")
    print(f"results   {out / 'results.json'}, {folder / 'metrics.csv'}")
    print(f"picture   {picture}")
    print(f"report    {folder / REPORT_FOLDER / PAGE}")
    print(f"took      {time.perf_counter() - began:.0f} s")
    return results


def _synthesise(drive: Path, frames: int, seed: int) -> None:
    """Write the drive unless the same one is there."""
    wanted = {"frames": frames, "seed": seed}
    note = drive / "drive.json"
    if note.is_file() and json.loads(note.read_text()) == wanted:
        return
    # Open3D takes seconds to import: not needed when the drive is there.
    from pipeline.datasets.synthetic import write_drive

    with tqdm(total=frames, desc="synthetic drive", unit="frame") as bar:
        write_drive(
            drive,
            frames=frames,
            seed=seed,
            sequence=SEQUENCE,
            progress=partial(bar_to, bar),
        )
    write_json_atomically(note, wanted)


def _evaluate(folder: Path, drive: Path) -> None:
    """What the decoded drive is good for, as a page; odometry where its package is installed."""
    odometry = True
    try:
        check_odometry()
    except BackendError as error:
        print(f"no odometry: {error}")
        odometry = False
    _check(
        evaluate_archive(
            str(drive),
            str(folder),
            TaskSettings(odometry=odometry),
            sequence=SEQUENCE,
            return_state=True,
        )
    )


def _training(steps: int | None) -> dict[str, int]:
    return {} if steps is None else {"steps": steps, "warm_steps": max(1, steps // 5)}


def _check(state: State) -> None:
    if not state.is_completed():
        raise DatasetError(f"the flow ended {state.name}: {state.message}")


def _picture(drive: Path, folder: Path, frame_id: str, out: Path) -> Path:
    file = frame_path(folder, frame_id)
    data = read_bytes(file)
    decoded = decode_file(data, file)
    image = decoded.projection.project(open_dataset(drive, SEQUENCE).read(frame_id).points)
    title = f"frame {frame_id}: {len(data)} bytes, {8 * len(data) / image.ranges.size:.3f} bpp"
    path = out / f"frame-{frame_id}.png"
    write_atomically(path, figure_png(frame_figure(image, decoded, title)))
    return path
