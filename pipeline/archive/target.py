"""A sequence to be archived, with everything that its configuration comes to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.archive.chosen_model import resolved_model
from pipeline.config.archive_config import AUTO, ArchiveConfig
from pipeline.config.encoder_settings import EncoderSettings
from pipeline.config.profile_files import scan_profile
from pipeline.datasets import Dataset
from pipeline.sequence.model_files import built_in_name, models_in, read_model
from pipeline.storage.locations import Location, locate
from quinr_lidar.entropy.models import EntropyModel
from quinr_lidar.errors import ProfileError


@dataclass(frozen=True)
class ArchiveTarget:
    """A sequence to be archived.

    Attributes:
        dataset: Its scans.
        folder: Where its frames go.
        packed: Where its packed archive goes.
        settings: What its frames are encoded with.
        carried: The entropy model that the folder must carry before the first frame, if any.
    """

    dataset: Dataset
    folder: Path
    packed: Location
    settings: EncoderSettings
    carried: EntropyModel | None


def resolve_target(dataset: Dataset, archive: Path, config: ArchiveConfig) -> ArchiveTarget:
    """Where a sequence goes, and what it is encoded with.

    Args:
        dataset: The sequence's scans.
        archive: Folder for archives; the sequence's own is ``archive / dataset.name``.
        config: How to archive.

    Raises:
        QuinrError: as :func:`encoder_settings`.
    """
    folder = archive / dataset.name
    packed = packed_location(folder, config.packed)
    settings, carried = encoder_settings(folder, config, packed)
    return ArchiveTarget(dataset, folder, packed, settings, carried)


def packed_location(folder: Path, packed: str | None) -> Location:
    """Where a sequence's packed archive belongs.

    Args:
        folder: Folder of the sequence's frames.
        packed: Folder or URL of all packed archives; beside the frames if left out.
    """
    return locate(folder) if packed is None else locate(packed) / folder.name


def encoder_settings(
    folder: Path, config: ArchiveConfig, packed: Location | None = None
) -> tuple[EncoderSettings, EntropyModel | None]:
    """What the frames of a sequence are encoded with.

    With the entropy model "auto" that is the one that was chosen for the sequence. Before one is
    chosen, the result is provisional: with the profile's own entropy model.

    Args:
        folder: The sequence's; the entropy models that it carries are at hand.
        config: How to archive.
        packed: Where the packed archive is: an entropy model may have been chosen for it.

    Returns:
        The settings, and the entropy model that the folder must carry before the first frame.

    Raises:
        ArchiveError: the packed archive's entropy model is wanted and it cannot be read.
        BitstreamError: the entropy model is damaged.
        EntropyModelError: the profile's entropy model is not at hand.
        ProfileError: as :func:`~pipeline.config.profile_files.scan_profile`, or an entropy model
            without effect.
        StorageError: a file cannot be read.
    """
    automatic = config.entropy_model == AUTO
    if automatic:
        given = resolved_model(folder, packed)
    else:
        given = read_model(Path(config.entropy_model)) if config.entropy_model else None
    profile = scan_profile(
        config.profile,
        config.overrides,
        max_error=config.max_error,
        relative_error=config.relative_error,
        entropy_model=given,
        others=models_in(folder),
    )
    if automatic and ("mask" not in profile.layers or "entropy_model" in config.overrides):
        raise ProfileError(
            f"profile {profile.name}: entropy model: {AUTO} has no effect without a mask "
            "(layers=preview,mask), or with another entropy model in the settings"
        )
    carries = given is not None and not (automatic and built_in_name(given.name))
    settings = EncoderSettings(profile, config.projection.spherical())
    return settings, given if carries else None
