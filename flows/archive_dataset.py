"""Archive many drives: all sequences of a KITTI root, or an inbox; new or incomplete ones only."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows._prefect.alerts import ALERTS
from flows._prefect.chunks import final_state
from flows.archive_sequence import archive_sequence
from flows.parameters import Folder, Minutes, Share
from pipeline.archive.target import resolve_target
from pipeline.config.archive_config import ArchiveConfig
from pipeline.datasets.discovery import Drive, drives_in, newest_change
from pipeline.nightly.inbox import is_archived
from pipeline.nightly.report import DriveOutcome
from pipeline.storage.lock import holder_of
from quinr_lidar.errors import QuinrError


@flow(
    name="archive-dataset",
    flow_run_name="archive all of {source}",
    validate_parameters=True,
    **ALERTS,
)
def archive_dataset(
    source: Folder,
    archive: Folder,
    config: ArchiveConfig | None = None,
    resume: bool = True,
    settle_minutes: Minutes = 0.0,
    max_failed_drives: Share = 0.5,
) -> State:
    """Archive every drive of a data set that is not archived yet, one after the other.

    A drive whose every scan is in its packed archive is skipped. So is one to which another run
    writes, of this machine or another: several machines may share source and archives.

    Args:
        source: A KITTI root, a drive, or a folder of these.
        archive: Folder for archives; each drive's is ``archive/<drive>``.
        config: How to archive each of them.
        resume: Skip what is done; otherwise do everything again, and replace packed archives.
        settle_minutes: A drive whose scans changed less than this ago is left for the next time.
        max_failed_drives: Share of failed drives above which the flow itself fails.

    Returns:
        A Prefect state: Completed, CompletedWithFailures, or Failed. Its data is ``archive``.
    """
    outcomes = archive_drives(
        source, archive, config or ArchiveConfig(), resume=resume, settle_minutes=settle_minutes
    )
    return dataset_state(outcomes, max_failed_drives, archive)


def archive_drives(
    source: str,
    archive: str,
    config: ArchiveConfig,
    *,
    resume: bool = True,
    settle_minutes: float = 0,
) -> list[DriveOutcome]:
    """What :func:`archive_dataset` does; must be called inside a flow.

    Raises:
        DatasetError: the source cannot be read.
    """
    return [
        _archive_drive(drive, archive, config, resume=resume, settle_minutes=settle_minutes)
        for drive in drives_in(Path(source))
    ]


def _archive_drive(
    drive: Drive, archive: str, config: ArchiveConfig, *, resume: bool, settle_minutes: float
) -> DriveOutcome:
    """Archive one drive; if that fails, the others go on."""
    try:
        decided = decide(drive, Path(archive), config, resume=resume, settle_minutes=settle_minutes)
    except QuinrError as error:
        return DriveOutcome(drive, "failed", str(error))
    if decided is not None:
        return decided
    state = archive_sequence(str(drive.path), archive, config, resume=resume, return_state=True)
    message = state.message or state.name or ""
    if not state.is_completed():
        return DriveOutcome(drive, "failed", message)
    return DriveOutcome(drive, "archived", message, partial=state.name == "CompletedWithFailures")


def decide(
    drive: Drive, archive: Path, config: ArchiveConfig, *, resume: bool, settle_minutes: float
) -> DriveOutcome | None:
    """What becomes of a drive without archiving it; ``None`` if it is to be archived.

    Raises:
        QuinrError: it can not be archived.
    """
    if (holder := holder_of(archive / drive.name)) is not None:
        return DriveOutcome(drive, "busy", f"process {holder.pid} on {holder.host} is at it")
    dataset = drive.open()
    age = time.time() - newest_change(dataset)
    if age < 60 * settle_minutes:
        return DriveOutcome(drive, "arriving", f"changed {max(0, age):.0f} s ago")
    target = resolve_target(dataset, archive, config)
    if resume and is_archived(dataset, target.packed, target.settings):
        return DriveOutcome(drive, "complete", f"{len(dataset.frame_ids)} scans")
    return None


def dataset_state(outcomes: Sequence[DriveOutcome], max_failed_share: float, data: str) -> State:
    """How a flow over drives ends.

    Args:
        outcomes: What became of each drive.
        max_failed_share: Share of failed drives above which the flow fails.
        data: The state's data.
    """
    state = final_state(outcomes, max_failed_share, data, "drives")
    if state.name == "Completed":
        # Failed frames of a drive that ended well all the same.
        partial = [outcome for outcome in outcomes if outcome.partial]
        message = f"{state.message}: {count_kinds(outcomes)}"
        if partial:
            message += f"; {partial[0].drive.name}: {partial[0].message}"
            return Completed(name="CompletedWithFailures", message=message, data=data)
        return Completed(message=message, data=data)
    return state


def count_kinds(outcomes: Sequence[DriveOutcome]) -> str:
    """How many drives became what, in words."""
    kinds = [outcome.kind for outcome in outcomes]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)) or "none"
