"""What baselines may learn from: the scans behind the built-in model, but the one coded.

A scan that the entropy model has seen says little of scans it has not. So for each such scan
models are trained on the others, and kept on disk.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from pipeline.datasets.single_file import scan_file
from pipeline.models.scans import read_variants
from pipeline.models.training import ModelSettings
from pipeline.storage.files import read_bytes, write_atomically
from quinr_lidar import RangeImage, SphericalProjection
from quinr_lidar.errors import DatasetError

ENTROPY_MODEL = "hdl64"

QUICK, QUICK_COPIES = ModelSettings(mask_steps=2000, range_steps=6000), 6
"""Of trainings without one of the scans: shorter than the built-in entropy model's."""

Model = TypeVar("Model")


@dataclass(frozen=True)
class Provenance:
    """How the built-in entropy model was made.

    Attributes:
        learnt: Names of the scans it learnt from, by SHA-256.
        settings: Of its training.
        copies: Images a scan.
    """

    learnt: Mapping[str, str]
    settings: ModelSettings
    copies: int


@cache
def provenance() -> Provenance:
    """Of the built-in entropy model, as ``quinr train-model`` wrote it down."""
    text = (
        resources.files("quinr_lidar.entropy") / "built_in" / f"{ENTROPY_MODEL}.json"
    ).read_text()
    about = json.loads(text)
    known = {field.name for field in fields(ModelSettings)}
    settings = {name: value for name, value in about["settings"].items() if name in known}
    learnt = {scan["sha256"]: scan["file"] for scan in about["learnt"]}
    return Provenance(learnt, ModelSettings(**settings), about["settings"]["copies"])


@dataclass(frozen=True)
class TrainingSet:
    """What is learnt from before a scan is coded.

    Attributes:
        folder: Of models.
        scans: Paths by SHA-256, without the scan that is coded.
        seen: Whether the built-in entropy model learnt from the scan that is coded.
        settings: Of training.
        copies: Images a scan.
    """

    folder: Path
    scans: tuple[tuple[str, Path], ...]
    seen: bool
    settings: ModelSettings
    copies: int

    def images(self) -> list[RangeImage]:
        """Range images of all scans, turned and mirrored.

        Raises:
            QuinrError: a scan cannot be read.
        """
        scans = [scan_file(path) for _, path in self.scans]
        return read_variants(scans, SphericalProjection(), self.copies, self.settings.seed)

    def described(self) -> list[Any]:
        """All that decides what is learnt, ready for JSON."""
        return [[digest for digest, _ in self.scans], vars(self.settings), self.copies]

    def model(
        self,
        name: str,
        details: object,
        train: Callable[[], Model],
        pack: Callable[[Model], bytes],
        unpack: Callable[[bytes], Model],
    ) -> Model:
        """A model from the folder, trained where it is not there.

        Args:
            name: Of its file.
            details: What decides the model beside the lessons, ready for JSON.
            train: Takes minutes.
            pack: To bytes.
            unpack: From bytes.

        Raises:
            QuinrError: training fails, or the folder cannot be written.
        """
        key = hashlib.sha256(json.dumps([self.described(), details]).encode()).hexdigest()
        path = self.folder / f"{name}-{key[:16]}"
        if not path.is_file():
            write_atomically(path, pack(train()))
        return unpack(read_bytes(path))


def training_set_for(digest: str, scans: Mapping[str, Path], folder: Path) -> TrainingSet:
    """Lessons before a scan is coded.

    Args:
        digest: SHA-256 of the scan.
        scans: All scans at hand, by SHA-256.
        folder: Of models.

    Raises:
        DatasetError: a scan of the built-in entropy model is not at hand.
    """
    made = provenance()
    seen = digest in made.learnt
    return TrainingSet(
        folder,
        tuple((one, path) for one, path in scans_to_learn(scans) if one != digest),
        seen,
        QUICK if seen else made.settings,
        QUICK_COPIES if seen else made.copies,
    )


def scans_to_learn(scans: Mapping[str, Path]) -> tuple[tuple[str, Path], ...]:
    """Those of the built-in entropy model, paths by SHA-256.

    Args:
        scans: All scans at hand, by SHA-256.

    Raises:
        DatasetError: one is not at hand.
    """
    learnt = provenance().learnt
    missing = [name for digest, name in learnt.items() if digest not in scans]
    if missing:
        raise DatasetError(
            "what learns does so from the scans of the built-in entropy model; "
            f"give these as well: {', '.join(missing)}"
        )
    return tuple((digest, scans[digest]) for digest in learnt)
