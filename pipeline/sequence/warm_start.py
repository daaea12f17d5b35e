"""Warm starts: a frame trained from its predecessor's parameters takes a fraction of the steps.

Parameters and error of the predecessor are read back from disk, never handed over in memory:
the archive is then the same, byte for byte, whether a nightly run ran through or was resumed, and
however many workers shared it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.config.encoder_settings import EncoderSettings
from pipeline.sequence.records import StartKind, read_archived
from pipeline.storage.files import sha256_of
from quinr_lidar import Profile, RangeImage, codec
from quinr_lidar.entropy.models import EntropyModel
from quinr_lidar.training import FitProgress


@dataclass(frozen=True)
class Start:
    """What a frame starts from.

    Attributes:
        data: The predecessor's compressed file.
        sha256: SHA-256 of this file.
        error: Mean squared error of the predecessor's preview, in units of its squared peak.
    """

    data: bytes
    sha256: str
    error: float


@dataclass(frozen=True, eq=False)
class Encoding:
    """An encoded frame and what it took, see :class:`~pipeline.sequence.records.FrameRecord`."""

    frame: codec.EncodedFrame
    start: StartKind
    kept: Literal["cold", "warm"]
    steps: int
    seconds: float


def find_start(folder: Path, predecessor: str | None, settings: EncoderSettings) -> Start | None:
    """What a frame starts from, or ``None``: then it starts cold.

    A predecessor is of no use when it failed, when its file is not intact, or when other
    settings (another field, say) made it. All of this is on disk, so it is the same next time.

    Args:
        folder: Folder of the archived sequence.
        predecessor: Id of the frame before, ``None`` for a keyframe.
        settings: Settings of both.
    """
    found = read_archived(folder, predecessor, settings) if predecessor is not None else None
    if found is None:
        return None
    record, data = found
    psnr = (record.fidelity or {}).get("preview_psnr_db")
    # Records say None where there is no error at all, and the PSNR infinite.
    error = 0.0 if psnr is None else _relative_error(psnr)
    return Start(data, sha256_of(data), error)


def encode_from(
    start: Start | None,
    image: RangeImage,
    profile: Profile,
    entropy_models: Iterable[EntropyModel] = (),
    progress: Callable[[FitProgress], None] | None = None,
) -> Encoding:
    """Encode a frame, again from a cold start if the scene has changed since ``start``.

    It has when the preview's error exceeds ``profile.cold_ratio`` times the predecessor's.

    Args:
        start: What :func:`find_start` found.
        image: The frame's range image.
        profile: Settings of the encoder.
        entropy_models: Models beside the built-in ones, where the profile names one of them.
        progress: Called now and then while it trains.

    Raises:
        EntropyModelError, GeometryError, ProfileError, TrainingError: as
            :func:`quinr_lidar.codec.encoding.encode_frame`.
    """
    began = time.perf_counter()
    encoder = codec.FrameEncoder(image, profile, entropy_models=entropy_models)

    def encoding(
        frame: codec.EncodedFrame, start: StartKind, kept: Literal["cold", "warm"], steps: int
    ) -> Encoding:
        return Encoding(frame, start, kept, steps, time.perf_counter() - began)

    if start is None:
        cold = encoder.encode(progress=progress)
        return encoding(cold, "cold", "cold", cold.fit.steps)
    warm = encoder.encode(codec.read_parameters(start.data), progress)
    warm_error = _relative_error(warm.preview_psnr)
    if warm_error <= profile.cold_ratio * start.error:
        return encoding(warm, "warm", "warm", warm.fit.steps)
    cold = encoder.encode(progress=progress)
    steps = warm.fit.steps + cold.fit.steps
    if _relative_error(cold.preview_psnr) < warm_error:
        return encoding(cold, "restart", "cold", steps)
    return encoding(warm, "restart", "warm", steps)


def _relative_error(psnr: float) -> float:
    """Mean squared error in units of the squared peak, from a PSNR in dB."""
    return 10 ** (-psnr / 10)
