"""An archived sequence on disk: which jobs it takes, and the results kept beside its frames."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import quinr_lidar
from pipeline.config.profile_files import scan_profile
from pipeline.datasets import Dataset
from pipeline.datasets.cloud_files import KINDS, VELODYNE
from pipeline.datasets.kitti_odometry import scan_path
from pipeline.facts import columns_of, facts_of
from pipeline.fidelity import FrameFidelity, summarise
from pipeline.jobs.results import counts_of, lists_of, name_of, rounded
from pipeline.models.files import built_in_name, models_in, read_model
from pipeline.models.resolved import AUTO, resolved_model
from pipeline.sequence.frames import ArchiveJob, RestoreJob
from pipeline.sequence.records import FRAMES, SUFFIX, FrameRecord
from pipeline.storage.files import write_atomically, write_json_atomically
from pipeline.storage.locations import Location
from quinr_lidar import Profile
from quinr_lidar.entropy.models import EntropyModel
from quinr_lidar.errors import DatasetError, ProfileError, StorageError

ARCHIVE_PROFILE = "bounded"

FIGURES = tuple(fact.name for fact in facts_of(FrameFidelity))

_DIGITS = 4


def archive_jobs(
    dataset: Dataset, out: Path, profile: Profile, *, limit: int | None = None, resume: bool = True
) -> list[ArchiveJob]:
    """One job a frame; the sequence's folder is ``out / dataset.name``.

    Runs begin at every multiple of ``profile.keyframe_interval``, counted in the data set's frames.
    Neither the number of frames nor of workers moves a boundary: ``limit``, a sequence that
    grew or another machine would then encode finished frames again. The price: a sequence of
    fewer runs than workers leaves workers idle; a smaller ``keyframe_interval`` employs them.
    """
    frame_ids = dataset.frame_ids
    return [
        ArchiveJob(
            frame_id=frame_id,
            source=dataset.frame(frame_id),
            folder=out / dataset.name,
            profile=profile,
            predecessor=frame_ids[index - 1] if index % profile.keyframe_interval else None,
            resume=resume,
        )
        for index, frame_id in enumerate(frame_ids[:limit])
    ]


def archive_settings(
    folder: Path,
    profile: str | Profile = ARCHIVE_PROFILE,
    overrides: Mapping[str, Any] | None = None,
    *,
    max_error: float | None = None,
    relative_error: float | None = None,
    entropy_model: Path | str | None = None,
    archive: Location | None = None,
) -> tuple[Profile, EntropyModel | None]:
    """What a sequence is archived with.

    Args:
        folder: Of the sequence; the entropy models that it carries are at hand.
        profile: See :func:`~pipeline.config.profile_files.scan_profile`, as for the next three.
        overrides: Settings to change.
        max_error: Largest error of a range, metres; the profile's by default.
        relative_error: Of the bound with the range, likewise.
        entropy_model: File of an entropy model to code masks and ranges with; or
            :data:`~pipeline.models.resolved.AUTO`, the one that was settled on. Before that the
            profile is provisional: with its own entropy model.
        archive: Where the packed archive is: it may have settled on an entropy model.

    Returns:
        The profile, and the entropy model that the folder must carry before the first frame.

    Raises:
        ArchiveError: the archive's entropy model is wanted and it cannot be read.
        BitstreamError: the entropy model is damaged.
        PriorError: the profile's entropy model is not at hand.
        ProfileError: as :func:`~pipeline.config.profile_files.scan_profile`, or an entropy model
            without effect.
        StorageError: a file cannot be read.
    """
    automatic = str(entropy_model) == AUTO
    if automatic:
        given = resolved_model(folder, archive)
    else:
        given = read_model(Path(entropy_model)) if entropy_model else None
    others = models_in(folder)
    settings = scan_profile(
        profile,
        overrides or {},
        max_error=max_error,
        relative_error=relative_error,
        entropy_model=given,
        others=others,
    )
    if automatic and ("mask" not in settings.layers or "entropy_model" in (overrides or {})):
        raise ProfileError(
            f"profile {settings.name}: entropy model: {AUTO} has no effect without a mask "
            "(layers=preview,mask), or with another entropy model in the settings"
        )
    carries = given is not None and not (automatic and built_in_name(given.name))
    return settings, given if carries else None


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
        raise StorageError(f"{kind!r}: expected one of {', '.join(KINDS)}")

    def target(sequence: str, frame_id: str) -> Path:
        if kind == VELODYNE:
            return scan_path(out, sequence, frame_id)
        return out / sequence / f"{frame_id}.{kind}"

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
            f"{archive}: no archived sequence, expected <sequence>/{FRAMES}/*{SUFFIX}"
        )
    return found


def archived_frames(folder: Path) -> list[Path]:
    """The compressed files of a sequence, in the order of their frame ids."""
    return sorted(
        (path for path in (folder / FRAMES).glob(f"*{SUFFIX}") if path.name[0] != "."),
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
