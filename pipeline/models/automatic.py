"""``--entropy-model auto``: take the best model at hand for a drive, or train one on the drive."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

import quinr_lidar
from pipeline.archive.chosen_model import ModelChoice, write_choice
from pipeline.config.encoder_settings import EncoderSettings
from pipeline.datasets import Dataset
from pipeline.models.scans import read_variants
from pipeline.models.training import ModelSettings, train_model
from pipeline.sequence.model_files import keep_model, models_in
from quinr_lidar import Profile, RangeImage, SphericalProjection
from quinr_lidar.entropy.models import EntropyModel, built_in_models
from quinr_lidar.errors import EntropyModelError, GeometryError, ScanError, StorageError
from quinr_lidar.layers.layer import Source
from quinr_lidar.layers.registry import LAYERS, REQUIRED
from quinr_lidar.training import FitProgress

FEWEST_FRAMES = 40
"""Shorter drives get no model of their own: it would take more bytes than it saves."""

TRAINING_FRAMES, HELD_OUT_FRAMES = 24, 6
"""Frames of a drive that a model is trained on, and other ones that decide between models."""

SETTINGS = ModelSettings(mask_steps=1500, range_steps=3500)
_COPIES = 4
_NEW = "trained on this drive"

Steps = Callable[[str, FitProgress], None]


Train = Callable[[Sequence[RangeImage], ModelSettings, Steps | None], EntropyModel]
"""A training, as :func:`~pipeline.models.training.train_model`."""


def choose_automatically(
    dataset: Dataset,
    folder: Path,
    encoder: EncoderSettings,
    *,
    settings: ModelSettings = SETTINGS,
    train: Train = train_model,
    progress: Steps | None = None,
) -> ModelChoice:
    """Choose a drive's entropy model, keep it in the drive's folder, and write down why.

    Candidates are the built-in models and those of other drives of the same archive, which are
    often of the same sensor. If no other drive's model beats the built-in ones, one is trained on
    frames spread over this drive. It is taken if it saves more bytes than it has itself.

    Args:
        dataset: The drive.
        folder: Folder of the drive's frames.
        encoder: Settings of the frames, with a mask layer. Their entropy model does not matter.
        settings: Settings of a training.
        train: Trains a model.
        progress: Called with the layer's name after each step of a training.

    Raises:
        EntropyModelError: no frame of the drive can be read.
        StorageError: the folder cannot be written.
        TrainingError: the training diverged.
    """
    profile, projection = encoder.profile, encoder.projection
    training_set, held_out = _split(dataset)
    images = _images(dataset, held_out, projection)
    others = _models_of_other_drives(folder)
    candidates = _built_in() | others
    costs = _costs(candidates, images, profile)
    best = min(costs, key=costs.__getitem__)
    if best in others or len(dataset.frame_ids) < FEWEST_FRAMES:
        training_set = []
    else:
        copies = _images(dataset, training_set, projection, _COPIES)
        candidates[_NEW] = new = train(copies, settings, progress)
        costs |= _costs({_NEW: new}, images, profile)
        saved = (costs[best] - costs[_NEW]) * len(dataset.frame_ids)
        best = _NEW if saved > len(new.data) else best
    chosen = candidates[best]
    if chosen.name not in _built_in_names():
        keep_model(folder, chosen)
    choice = ModelChoice(
        entropy_model=chosen.name,
        origin=best,
        frame_bytes={origin: round(cost, 1) for origin, cost in costs.items()},
        held_out=held_out,
        training_set=training_set,
        software=quinr_lidar.__version__,
    )
    write_choice(folder, choice)
    return choice


def frame_bytes(entropy_model: EntropyModel, image: RangeImage, profile: Profile) -> int:
    """Bytes of a frame's layers without its preview, as far as the profile has them.

    Raises:
        GeometryError: the max_error is too small for the largest range.
    """
    source = Source(image, entropy_model, vars(profile))
    return sum(len(LAYERS[name].pack(source)) for name in profile.layers if name != REQUIRED)


def _split(dataset: Dataset) -> tuple[list[str], list[str]]:
    """Ids of training frames and of held-out ones, both spread over the drive."""
    ids = dataset.frame_ids
    count = min(len(ids), TRAINING_FRAMES + HELD_OUT_FRAMES)
    spread = [ids[round(at)] for at in np.linspace(0, len(ids) - 1, count)]
    every = max(1, math.ceil(count / HELD_OUT_FRAMES))
    # Not the first frames: a drive often begins at rest.
    held_out = spread[every // 2 :: every]
    return [frame for frame in spread if frame not in held_out], held_out


def _images(
    dataset: Dataset, frames: Sequence[str], projection: SphericalProjection, copies: int = 1
) -> list[RangeImage]:
    """Range images of the frames that can be read; the others fail later, one by one."""
    images: list[RangeImage] = []
    reason = "no scan with a point"
    for seed, frame in enumerate(frames):
        try:
            images += read_variants([dataset.frame(frame)], projection, copies, seed)
        except (ScanError, StorageError) as error:
            reason = str(error)
    if not images:
        raise EntropyModelError(
            f"{dataset.name}: entropy model: expected scans to choose it by, got {reason}"
        )
    return images


def _built_in() -> dict[str, EntropyModel]:
    return {f"built in: {name}": model for name, model in built_in_models().items()}


def _built_in_names() -> set[str]:
    return {model.name for model in built_in_models().values()}


def _models_of_other_drives(folder: Path) -> dict[str, EntropyModel]:
    """Models in this drive's folder and in the folders beside it, by where they are from."""
    found: dict[str, EntropyModel] = {}
    names = _built_in_names()
    for drive in sorted(path for path in folder.parent.glob("*") if path.is_dir()):
        for model in models_in(drive):
            if model.name not in names:
                names.add(model.name)
                found[f"drive {drive.name}: {model.name}"] = model
    return found


def _costs(
    candidates: Mapping[str, EntropyModel], images: Sequence[RangeImage], profile: Profile
) -> dict[str, float]:
    """Mean bytes of a frame with each model."""
    try:
        return {
            origin: float(np.mean([frame_bytes(model, image, profile) for image in images]))
            for origin, model in candidates.items()
        }
    except GeometryError as error:
        raise EntropyModelError(f"entropy model: cannot choose one: {error}") from error
