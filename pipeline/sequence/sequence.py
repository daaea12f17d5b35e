"""An archived sequence on disk: which jobs it takes, and the results kept beside its frames."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import quinr_lidar
from pipeline.config.encoder_settings import EncoderSettings
from pipeline.datasets import Dataset
from pipeline.datasets.cloud_files import KINDS, VELODYNE
from pipeline.datasets.kitti_odometry import scan_path, sequence_folder
from pipeline.facts import columns_of, facts_of
from pipeline.fidelity import FrameFidelity, summarise
from pipeline.jobs.results import counts_of, lists_of, name_of, rounded
from pipeline.sequence.frames import ArchiveJob, RestoreJob
from pipeline.sequence.records import FRAMES_FOLDER, SUFFIX, FrameRecord
from pipeline.storage.files import write_atomically, write_json_atomically
from quinr_lidar.errors import DatasetError, StorageError

FIGURES = tuple(fact.name for fact in facts_of(FrameFidelity))

_DIGITS = 4


def archive_jobs(
    dataset: Dataset,
    out: Path,
    settings: EncoderSettings,
    *,
    n_scans: int | None = None,
    resume: bool = True,
) -> list[ArchiveJob]:
    """One job a frame; the sequence's folder is ``out / dataset.name``.

    Runs begin at every multiple of ``keyframe_interval``, counted in the data set's frames.
    Neither the number of frames nor of workers moves a boundary: ``n_scans``, a sequence that
    grew or another machine would then encode finished frames again. The price: a sequence of
    fewer runs than workers leaves workers idle; a smaller ``keyframe_interval`` employs them.
    """
    frame_ids, interval = dataset.frame_ids, settings.profile.keyframe_interval
    return [
        ArchiveJob(
            frame_id=frame_id,
            source=dataset.frame(frame_id),
            folder=out / dataset.name,
            profile=settings.profile,
            projection=settings.projection,
            predecessor=frame_ids[index - 1] if index % interval else None,
            resume=resume,
        )
        for index, frame_id in enumerate(frame_ids[:n_scans])
    ]


def restored_folder(out: Path, sequence: str, kind: str) -> Path:
    """Where a sequence is restored to, see :func:`restore_jobs`."""
    return sequence_folder(out, sequence) if kind == VELODYNE else out / sequence


def restore_jobs(archive: Path, out: Path, kind: str = VELODYNE) -> dict[str, list[RestoreJob]]:
    """Jobs by sequence for an archived sequence, or for a folder of them.

    Velodyne scans go to ``out/sequences/<sequence>/velodyne``, where KITTI's readers look for them;
    files of another kind to ``out/<sequence>``.

    Args:
        archive: An archived sequence, or a folder of them.
        out: Root of what is restored.
        kind: What frames become, one of :data:`pipeline.datasets.cloud_files.KINDS`.

    Raises:
        DatasetError: no archived frame in there.
        StorageError: no such kind.
    """
    if kind not in KINDS:
        raise StorageError(f"--as {kind}: expected one of {', '.join(KINDS)}")

    def target(sequence: str, frame_id: str) -> Path:
        if kind == VELODYNE:
            return scan_path(out, sequence, frame_id)
        return restored_folder(out, sequence, kind) / f"{frame_id}.{kind}"

    return {
        folder.resolve().name: [
            RestoreJob(path.stem, path, target(folder.resolve().name, path.stem))
            for path in archived_frames(folder)
        ]
        for folder in archived_sequences(archive)
    }


def archived_sequences(archive: Path) -> list[Path]:
    """Folders of archived sequences at or below a folder.

    Raises:
        DatasetError: there is none.
    """
    candidates = [archive]
    if archive.is_dir():
        candidates += sorted(entry for entry in archive.iterdir() if entry.is_dir())
    found = [folder for folder in candidates if archived_frames(folder)]
    if not found:
        raise DatasetError(
            f"{archive}: no archived sequence, expected <sequence>/{FRAMES_FOLDER}/*{SUFFIX}"
        )
    return found


def archived_frames(folder: Path) -> list[Path]:
    """The compressed files of a sequence, in the order of their frame ids."""
    return sorted(
        (path for path in (folder / FRAMES_FOLDER).glob(f"*{SUFFIX}") if path.name[0] != "."),
        key=lambda path: path.stem.zfill(20),
    )


def write_results(
    folder: Path, records: Sequence[FrameRecord], settings: dict[str, Any]
) -> dict[str, Any]:
    """Write ``metrics.csv`` and ``metrics.json`` beside a sequence's frames.

    Returns:
        What was written as JSON, see :func:`results_of`.

    Raises:
        StorageError: the folder cannot be written.
    """
    results = results_of(folder.name, records, settings)
    write_json_atomically(folder / "metrics.json", results)
    write_atomically(folder / "metrics.csv", _csv(records).encode())
    return results


def results_of(
    sequence: str, records: Sequence[FrameRecord], settings: dict[str, Any]
) -> dict[str, Any]:
    """Results in the field's usual form (name, description, lists), which its plotters read."""
    done = [record for record in records if record.fidelity]
    return {
        "name": name_of(settings),
        "description": f"quinr-lidar {quinr_lidar.__version__}, sequence {sequence}; "
        "psnr in dB over whole images, chamfer in metres",
        "settings": settings,
        "frames": counts_of(records),
        "failures": {r.frame_id: r.error for r in records if r.status == "failed"},
        "frame_ids": [record.frame_id for record in done],
        "results": lists_of(done, FIGURES),
        "summary": summarise(fidelity_of(record) for record in done),
    }


def fidelity_of(record: FrameRecord) -> FrameFidelity:
    """A record's figures as the dataclass; ``None`` becomes NaN again."""
    values = record.fidelity or {}
    figures: dict[str, Any] = {
        name: math.nan if values.get(name) is None else values[name] for name in FIGURES
    }
    return FrameFidelity(**figures)


def table_rows(records: Sequence[FrameRecord]) -> list[dict[str, Any]]:
    """Rows for people: the facts and figures of the table "sequence"."""
    columns = columns_of("sequence", (*facts_of(FrameRecord), *facts_of(FrameFidelity)))
    return [
        {fact.heading: rounded(_value(record, fact.name), _DIGITS) for fact in columns}
        for record in records
    ]


def _csv(records: Sequence[FrameRecord]) -> str:
    """Every fact and figure of every frame, with a line of column names."""
    names = [fact.name for fact in facts_of(FrameRecord)]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*names, *FIGURES])
    writer.writerows([_value(record, name) for name in (*names, *FIGURES)] for record in records)
    return buffer.getvalue()


def _value(record: FrameRecord, name: str) -> Any:
    return (record.fidelity or {}).get(name) if name in FIGURES else getattr(record, name)
