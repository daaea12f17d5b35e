"""One trial of a search: encode one source with one candidate's settings."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.datasets.sources import read_source
from quinr_lidar import Profile, RangeImage, codec
from quinr_lidar.codec.images import encode_image
from quinr_lidar.errors import QuinrError


@dataclass(frozen=True)
class Trial:
    """What to encode, and how.

    Attributes:
        source: A scan or an image.
        settings: Settings of a profile, without seed and steps.
        steps: Steps of the training.
        seed: Seed of the training.
    """

    source: Path
    settings: dict[str, Any] = field(hash=False)
    steps: int
    seed: int

    @property
    def key(self) -> str:
        """The same for the same trial, in every run: 16 hexadecimal digits."""
        text = json.dumps([str(self.source), self.settings, self.steps, self.seed], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Outcome:
    """Result of a trial.

    Attributes:
        key: Key of the trial.
        psnr_db: PSNR of the decoded file; ``None`` where there is no file.
        float_psnr_db: PSNR before rounding.
        bytes: Size of the file.
        seconds: Duration of the training.
        error: Why there is no file.
    """

    key: str
    psnr_db: float | None = None
    float_psnr_db: float | None = None
    bytes: int | None = None
    seconds: float | None = None
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def run_trial(trial: Trial) -> Outcome:
    """Encode; a field that does not fit or diverges is an outcome, not an error.

    Raises:
        QuinrError: the source cannot be read.
    """
    content = _content(trial.source)
    try:
        profile = Profile(name="trial").with_overrides(
            **trial.settings, steps=trial.steps, seed=trial.seed
        )
        encode = codec.encode_frame if isinstance(content, RangeImage) else encode_image
        encoded = encode(content, profile)  # pyright: ignore[reportArgumentType]
    except QuinrError as error:
        return Outcome(trial.key, error=str(error))
    return Outcome(
        trial.key,
        round(encoded.psnr, 4),
        round(encoded.float_psnr, 4),
        len(encoded.data),
        round(encoded.fit.seconds, 3),
    )


@lru_cache(maxsize=8)
def _content(path: Path) -> Any:
    return read_source(path).content
