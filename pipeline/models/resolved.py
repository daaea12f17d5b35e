"""Which prior a drive is archived with, where that is settled: ``--prior auto`` decides once.

The decision is a note in the drive's folder, ``prior.json``. Where the folder is gone but its
packed archive is there, the archive's own prior goes on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

from pipeline.archive.layout import MANIFEST
from pipeline.archive.reader import PackedSequence
from pipeline.jobs.job import read_dataclass
from pipeline.models.files import priors_in
from pipeline.storage.files import write_json_atomically
from pipeline.storage.locations import Location
from quinr_lidar.entropy.models import Prior, choose_prior
from quinr_lidar.errors import ArchiveError, PriorError

AUTO = "auto"
"""Instead of a prior's file: choose or train one for each drive."""

NOTE = "prior.json"


@dataclass(frozen=True)
class PriorChoice:
    """How a drive's prior was chosen.

    Attributes:
        prior: Name of the prior.
        origin: Where it is from, for people.
        frame_bytes: What mask and ranges of a frame cost with each candidate, by origin: the mean
            over frames that none of them has learnt from here.
        measured: Ids of those frames.
        learnt: Ids of the frames that a new prior learnt from, if one was trained.
        software: quinr-lidar's version.
    """

    prior: str
    origin: str
    frame_bytes: dict[str, float] = field(default_factory=dict)
    measured: list[str] = field(default_factory=list)
    learnt: list[str] = field(default_factory=list)
    software: str = ""


def write_choice(folder: Path, choice: PriorChoice) -> None:
    """Settle it.

    Raises:
        StorageError: the folder cannot be written.
    """
    write_json_atomically(folder / NOTE, asdict(choice))


def settled_prior(folder: Path, archive: Location | None = None) -> Prior | None:
    """The prior that a drive's frames are coded with; ``None`` before that is settled.

    Args:
        folder: Of the drive's frames; need not exist.
        archive: Where its packed archive is, if there is one.

    Raises:
        ArchiveError: the archive cannot be read, or its frames are coded with several priors.
        BitstreamError: the prior is damaged.
        PriorError: the note names a prior that is neither in the folder nor built in.
        StorageError: a file cannot be read.
    """
    choice = read_dataclass(folder / NOTE, PriorChoice)
    if choice is not None:
        try:
            return choose_prior(choice.prior, priors_in(folder, choice.prior))
        except PriorError as error:
            raise PriorError(f"{folder / NOTE}: {error}") from error
    if archive is None or not (archive / MANIFEST).exists():
        return None
    return _prior_of(PackedSequence.open(archive))


def _prior_of(archive: PackedSequence) -> Prior | None:
    names = archive.description.priors
    if len(names) > 1:
        raise ArchiveError(
            f"{archive.name}: priors: expected one to go on with, got {len(names)}; name one by "
            "its file instead of auto"
        )
    return choose_prior(names[0], archive.priors) if names else None
