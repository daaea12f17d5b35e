"""``--entropy-model auto``: the best model at hand for a drive, or one trained on the drive."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

import quinr_lidar
from pipeline.config.encoder_settings import EncoderSettings
from pipeline.datasets import Dataset
from pipeline.jobs.workers import available_cores
from pipeline.models.files import keep_model, models_in
from pipeline.models.resolved import ModelChoice, write_choice
from pipeline.models.scans import read_variants
from pipeline.models.training import ModelSettings, train_model
from quinr_lidar import Profile, RangeImage, SphericalProjection
from quinr_lidar.entropy.models import EntropyModel, built_in_models
from quinr_lidar.errors import EntropyModelError, GeometryError, ScanError, StorageError
from quinr_lidar.layers.layer import Source
from quinr_lidar.layers.registry import LAYERS, REQUIRED
from quinr_lidar.training import FitProgress

FEWEST_FRAMES = 40
"""Of a drive to train on: a shorter one saves less than the entropy model takes in its archive."""

LEARNT, MEASURED = 24, 6
"""Frames to learn from, and between them to measure candidates on."""

SETTINGS = ModelSettings(mask_steps=1500, range_steps=3500)
_COPIES = 4
_THREADS = 2
"""More wait for each other: the steps are small."""

Steps = Callable[[str, FitProgress], None]


def choose_automatically(
    dataset: Dataset,
    folder: Path,
    encoder: EncoderSettings,
    *,
    settings: ModelSettings = SETTINGS,
    progress: Steps | None = None,
) -> ModelChoice:
    """Choose a drive's entropy model, keep it in the drive's folder, and write down why.

    Candidates are the built-in entropy models and those that other drives of the same archive
    carry: the same sensor has often been learnt already. If none of the latter beats the built-in
        ones, one is
    trained on frames spread over the drive. It is taken if it saves more bytes than it has.

    Args:
        dataset: The drive.
        folder: Of its frames.
        encoder: With mask, and ranges within a bound; its own entropy model does not matter.
        settings: Of a training.
        progress: Of a training, as for :func:`pipeline.models.training.train_model`.

    Raises:
        PriorError: no frame of the drive can be read.
        StorageError: the folder cannot be written.
        TrainingError: a training diverged.
    """
    learnt, measured = _samples(dataset)
    profile, projection = encoder.profile, encoder.projection
    images = _images(dataset, measured, projection)
    candidates = {
        f"built in: {name}": entropy_model for name, entropy_model in built_in_models().items()
    }
    borrowed = _borrowed(folder)
    costs = _costs(candidates | borrowed, images, profile)
    best = min(costs, key=costs.__getitem__)
    candidates |= borrowed
    taught: list[str] = []
    if best not in borrowed and len(dataset.frame_ids) >= FEWEST_FRAMES:
        taught = learnt
        new = _train(dataset, taught, projection, settings, progress)
        candidates[_NEW] = new
        costs |= _costs({_NEW: new}, images, profile)
        saved = (costs[best] - costs[_NEW]) * len(dataset.frame_ids)
        best = _NEW if saved > len(new.data) else best
    chosen = candidates[best]
    if chosen.name not in {entropy_model.name for entropy_model in built_in_models().values()}:
        keep_model(folder, chosen)
    choice = ModelChoice(
        chosen.name,
        best,
        {origin: round(cost, 1) for origin, cost in costs.items()},
        measured,
        taught,
        quinr_lidar.__version__,
    )
    write_choice(folder, choice)
    return choice


_NEW = "trained on this drive"


def frame_bytes(entropy_model: EntropyModel, image: RangeImage, profile: Profile) -> int:
    """Bytes of a frame's layers without its preview, as far as the profile has them.

    Raises:
        GeometryError: the bound is too small for the largest range.
    """
    source = Source(image, entropy_model, vars(profile))
    return sum(len(LAYERS[name].pack(source)) for name in profile.layers if name != REQUIRED)


def _samples(dataset: Dataset) -> tuple[list[str], list[str]]:
    """Frame ids to learn from and to measure on: both spread over the drive, none in common."""
    ids = dataset.frame_ids
    count = min(len(ids), LEARNT + MEASURED)
    spread = [ids[round(at)] for at in np.linspace(0, len(ids) - 1, count)]
    every = max(1, math.ceil(count / MEASURED))
    # Not the first ones: a drive often begins at rest.
    measured = spread[every // 2 :: every]
    return [frame for frame in spread if frame not in measured], measured


def _images(
    dataset: Dataset, frames: Sequence[str], projection: SphericalProjection, copies: int = 1
) -> list[RangeImage]:
    """Range images of those frames that can be read; bad ones fail later, one by one."""
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


def _borrowed(folder: Path) -> dict[str, EntropyModel]:
    """Models of this drive's folder and of the drives beside it, by where they are from."""
    beside = sorted(path for path in folder.parent.glob("*") if path.is_dir())
    found: dict[str, EntropyModel] = {}
    names: set[str] = {entropy_model.name for entropy_model in built_in_models().values()}
    for drive in beside:
        for entropy_model in models_in(drive):
            if entropy_model.name not in names:
                names.add(entropy_model.name)
                found[f"drive {drive.name}: {entropy_model.name}"] = entropy_model
    return found


def _costs(
    candidates: Mapping[str, EntropyModel], images: Sequence[RangeImage], profile: Profile
) -> dict[str, float]:
    try:
        return {
            origin: float(np.mean([frame_bytes(entropy_model, image, profile) for image in images]))
            for origin, entropy_model in candidates.items()
        }
    except GeometryError as error:
        raise EntropyModelError(f"entropy model: cannot choose one: {error}") from error


def _train(
    dataset: Dataset,
    frames: Sequence[str],
    projection: SphericalProjection,
    settings: ModelSettings,
    progress: Steps | None,
) -> EntropyModel:
    images = _images(dataset, frames, projection, _COPIES)
    threads = torch.get_num_threads()
    torch.set_num_threads(min(_THREADS, available_cores()))
    try:
        return train_model(images, settings, progress)
    finally:
        torch.set_num_threads(threads)
