"""The entropy model that ``--entropy-model auto`` has resolved to, for each drive.

It is decided once and noted in the drive's folder, ``entropy_model.json``. Where the folder is gone
but its packed archive exists, the archive's entropy model is used again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

from pipeline.archive.layout import MANIFEST
from pipeline.archive.reader import PackedSequence
from pipeline.jobs.job import read_dataclass
from pipeline.sequence.model_files import models_in
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
        origin: Description of where it is from.
        frame_bytes: Mean size of a frame's layers without the preview with each candidate, by
            origin, over the frames that were held out.
        held_out: Ids of the frames on which candidates were measured.
        training_set: Ids of the frames that a new entropy model was trained on, if one was.
        software: Version of quinr-lidar.
    """

    entropy_model: str
    origin: str
    frame_bytes: dict[str, float] = field(default_factory=dict)
    held_out: list[str] = field(default_factory=list)
    training_set: list[str] = field(default_factory=list)
    software: str = ""


def write_choice(folder: Path, choice: ModelChoice) -> None:
    """Write down which entropy model a drive has.

    Raises:
        StorageError: the folder cannot be written.
    """
    write_json_atomically(folder / NOTE, asdict(choice))


def resolved_model(folder: Path, archive: Location | None = None) -> EntropyModel | None:
    """The entropy model that a drive's frames are coded with; ``None`` before it is chosen.

    Args:
        folder: Folder of the drive's frames; it need not exist.
        archive: Packed archive of the drive; it need not exist.

    Raises:
        ArchiveError: the archive cannot be read, or its frames are coded with several entropy
            models.
        BitstreamError: the entropy model is damaged.
        EntropyModelError: the noted entropy model is neither in the folder nor built in.
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
