"""What baselines may learn from: the scans of the built-in model, without the one that is coded.

A scan that the entropy model has seen says little about scans it has not seen. For each such scan
models are trained on the other ones, and kept on disk.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
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
"""Trainings without one of the scans are shorter than that of the built-in entropy model."""

Model = TypeVar("Model")


@dataclass(frozen=True)
class Provenance:
    """How the built-in entropy model was made.

    Attributes:
        learnt: Names of the scans it learnt from, by SHA-256.
        settings: Settings of its training.
        copies: Range images for each scan.
    """

    learnt: Mapping[str, str]
    settings: ModelSettings
    copies: int


@cache
def provenance() -> Provenance:
    """How the built-in entropy model was made, as ``quinr train-model`` wrote it down."""
    folder = resources.files("quinr_lidar.entropy") / "built_in"
    about = json.loads((folder / f"{ENTROPY_MODEL}.json").read_text())
    known = {field.name for field in fields(ModelSettings)}
    settings = {name: value for name, value in about["settings"].items() if name in known}
    learnt = {scan["sha256"]: scan["file"] for scan in about["training_set"]}
    return Provenance(learnt, ModelSettings(**settings), about["settings"]["copies"])


@dataclass(frozen=True)
class TrainingSet:
    """What is learnt from before a scan is coded.

    Attributes:
        folder: Where models are kept.
        scans: SHA-256 and path of each scan, without the one that is coded.
        seen: Whether the built-in entropy model learnt from the scan that is coded.
        settings: Settings of the training.
        copies: Range images for each scan.
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

    def quick(self) -> TrainingSet:
        """The same scans, learnt from in a short training."""
        return replace(self, settings=QUICK, copies=QUICK_COPIES)

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
        """A model from the folder, trained if it is not there yet, which takes minutes.

        ``details``, ready for JSON, is what decides the model besides the training set.

        Raises:
            QuinrError: training fails, or the folder cannot be written.
        """
        key = hashlib.sha256(json.dumps([self.described(), details]).encode()).hexdigest()
        path = self.folder / f"{name}-{key[:16]}"
        if not path.is_file():
            write_atomically(path, pack(train()))
        return unpack(read_bytes(path))


def training_set_for(digest: str, scans: Mapping[str, Path], folder: Path) -> TrainingSet:
    """What may be learnt from before a scan is coded, of all scans at hand (both by SHA-256).

    Raises:
        DatasetError: a scan of the built-in entropy model is not at hand.
    """
    made = provenance()
    if missing := [name for other, name in made.learnt.items() if other not in scans]:
        raise DatasetError(
            "baselines that learn need the scans of the built-in entropy model; "
            f"give these as well: {', '.join(missing)}"
        )
    others = tuple((other, scans[other]) for other in made.learnt if other != digest)
    whole = TrainingSet(folder, others, digest in made.learnt, made.settings, made.copies)
    return whole.quick() if whole.seen else whole
