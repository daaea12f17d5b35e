"""Which entropy model a drive is archived with: ``--entropy-model auto`` decides once.

The decision is a note in the drive's folder, ``entropy_model.json``. Where the folder is gone but
its packed archive is there, the archive's own entropy model goes on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

from pipeline.archive.layout import MANIFEST
from pipeline.archive.reader import PackedSequence
from pipeline.jobs.job import read_dataclass
from pipeline.models.files import models_in
from pipeline.storage.files import write_json_atomically
from pipeline.storage.locations import Location
from quinr_lidar.entropy.models import EntropyModel, choose_model
from quinr_lidar.errors import ArchiveError, EntropyModelError

NOTE = "entropy_model.json"


@dataclass(frozen=True)
class ModelChoice:
    """How a drive's entropy model was chosen.

    Attributes:
        entropy_model: Name of the entropy model.
        origin: Where it is from, for people.
        frame_bytes: What mask and ranges of a frame cost with each candidate, by origin: the mean
            over frames that none of them has learnt from here.
        measured: Ids of those frames.
        learnt: Ids of the frames that a new entropy model learnt from, if one was trained.
        software: quinr-lidar's version.
    """

    entropy_model: str
    origin: str
    frame_bytes: dict[str, float] = field(default_factory=dict)
    measured: list[str] = field(default_factory=list)
    learnt: list[str] = field(default_factory=list)
    software: str = ""


def write_choice(folder: Path, choice: ModelChoice) -> None:
    """Settle it.

    Raises:
        StorageError: the folder cannot be written.
    """
    write_json_atomically(folder / NOTE, asdict(choice))


def resolved_model(folder: Path, archive: Location | None = None) -> EntropyModel | None:
    """The entropy model that a drive's frames are coded with; ``None`` before that is settled.

    Args:
        folder: Of the drive's frames; need not exist.
        archive: Where its packed archive is, if there is one.

    Raises:
        ArchiveError: the archive cannot be read, or its frames are coded with several entropy
            models.
        BitstreamError: the entropy model is damaged.
        PriorError: the note names an entropy model that is neither in the folder nor built in.
        StorageError: a file cannot be read.
    """
    choice = read_dataclass(folder / NOTE, ModelChoice)
    if choice is not None:
        try:
            return choose_model(choice.entropy_model, models_in(folder, choice.entropy_model))
        except EntropyModelError as error:
            raise EntropyModelError(f"{folder / NOTE}: {error}") from error
    if archive is None or not (archive / MANIFEST).exists():
        return None
    return _model_of(PackedSequence.open(archive))


def _model_of(archive: PackedSequence) -> EntropyModel | None:
    names = archive.description.entropy_models
    if len(names) > 1:
        raise ArchiveError(
            f"{archive.name}: entropy models: expected one to go on with, got {len(names)}; name "
            "one by its file instead of auto"
        )
    return choose_model(names[0], archive.entropy_models) if names else None
