"""QIREN's claims put to the test: small pictures as fields of equal numbers of parameters.

Zhao et al. 2024 ("Quantum Implicit Neural Representations", ICML) report for 32 x 32 pictures of
scikit-image an error 34.8 % below the best classical network's, with as many or fewer parameters,
and for 64 x 64 values of the same fits one 24 % below. Here every baseline has the same number
of parameters, to within 5 %, and as many steps, and may choose its shape, its initial frequencies,
its optimiser and its learning rate.

The choice is by successive halving (Jamieson and Talwalkar 2016): short trainings of everything on
one seed, longer ones of the best, and in the end the best of each optimiser at full length. Only
errors of training decide, never those at twice the side.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.benchmark.machine import describe_machine, torch_threads
from quinr_lidar.errors import GeometryError, TrainingError
from quinr_lidar.fields import Field, FourierField, pixel_coordinates
from quinr_lidar.fields.field import parameter_count
from quinr_lidar.training import FitSettings, Optimizer, fit

NAMES = ("astronaut", "camera", "coffee")
SIDE = 32
ROUNDS = ((1 / 20, 2), (1 / 8, 1))
"""Lengths of the trainings that choose, in lengths of the final ones, and how many of each
optimiser's configurations they leave."""

SLOWER = 4
"""At full length the rate is tried divided by it too: short rounds like rates that long trainings
do not survive."""

Kind = Literal["classical", "qiren", "quinr"]


@dataclass(frozen=True)
class Picture:
    """A picture at two resolutions.

    Attributes:
        name: Its name.
        small: float64 [S, S] in [0, 1], what is fitted.
        large: float64 [2 S, 2 S] in [0, 1], what the fit should be at twice the side.
    """

    name: str
    small: NDArray[np.float64]
    large: NDArray[np.float64]


@dataclass(frozen=True)
class Configuration:
    """A field and how it is trained."""

    field: Field
    optimizer: Optimizer
    learning_rate: float

    def describe(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "field": repr(self.field),
            "parameters": parameter_count(self.field),
            "optimizer": self.optimizer,
            "learning_rate": self.learning_rate,
        }


@dataclass(frozen=True)
class Baseline:
    """A kind of field and all configurations it may choose from."""

    name: str
    kind: Kind
    configurations: tuple[Configuration, ...]


@dataclass(frozen=True)
class Trained:
    """A training on all pictures; errors are MSE of values clipped to [0, 1], one a picture.

    Attributes:
        fit: At the side that was fitted.
        super_resolution: At twice the side.
        seconds: Processor time, of one picture.
    """

    fit: NDArray[np.float64]
    super_resolution: NDArray[np.float64]
    seconds: float


def load_pictures(names: Sequence[str] = NAMES, side: int = SIDE) -> list[Picture]:
    """Pictures that scikit-image carries, grey, their central square, anti-aliased.

    Zhao et al.'s published code takes grey values, the central square and 32 x 32 pixels too.

    Args:
        names: Of functions of :mod:`skimage.data`.
        side: Pixels of a side of the small ones.
    """
    # Of the optional packages for benchmarks, and slow to import.
    from skimage import color, data, util

    pictures = []
    for name in names:
        whole = getattr(data, name)()
        grey = color.rgb2gray(whole) if whole.ndim == 3 else util.img_as_float64(whole)
        short = min(grey.shape)
        top, left = ((length - short) // 2 for length in grey.shape)
        square = grey[top : top + short, left : left + short]
        pictures.append(Picture(name, _resized(square, side), _resized(square, 2 * side)))
    return pictures


def _resized(image: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Bicubic where it grows, with a Gaussian before it where it shrinks."""
    from skimage import transform

    shrinks = side < len(image)
    resized = transform.resize(image, (side, side), order=3, anti_aliasing=shrinks)
    return np.clip(np.asarray(resized, dtype=np.float64), 0, 1)


class SmallImagesBench:
    """All baselines on all pictures.

    Args:
        pictures: Of one size.
        rivals: Who takes part.
        steps: Of the final trainings.
        seeds: Final trainings of a baseline.

    Raises:
        GeometryError: the pictures are not squares of one size, or large ones not twice as large.
    """

    def __init__(
        self, pictures: Sequence[Picture], rivals: Sequence[Baseline], steps: int, seeds: int
    ) -> None:
        side = len(pictures[0].small)
        shapes = {(picture.small.shape, picture.large.shape) for picture in pictures}
        if shapes != {((side, side), (2 * side, 2 * side))}:
            raise GeometryError(f"pictures: expected squares of side {side} and twice that")
        self._pictures, self._rivals = pictures, rivals
        self._steps, self._seeds = steps, seeds
        self._say: Callable[[str], None] = lambda _: None
        self._targets = torch.from_numpy(
            np.stack([picture.small.reshape(-1, 1) for picture in pictures]).astype(np.float32)
        )

    @property
    def trainings(self) -> int:
        """At most so many will be done."""
        total = 0
        for rival in self._rivals:
            optimizers = len({one.optimizer for one in rival.configurations})
            total += len(rival.configurations) + self._seeds - 1
            total += optimizers * (sum(kept for _, kept in ROUNDS) + ROUNDS[-1][1])
        return total

    def run(self, progress: Callable[[str], None] | None = None) -> dict[str, Any]:
        """Everything but the comparison: a dictionary ready for JSON.

        Args:
            progress: Called with a line after every training.
        """
        self._say = progress or (lambda _: None)
        with torch_threads(1):
            entries = [self._compete(rival) for rival in self._rivals]
            machine = describe_machine()
        return {
            "images": [_references(picture) for picture in self._pictures],
            "channels": "grey, as in the published code of QIREN's authors",
            "steps": self._steps,
            "seeds": self._seeds,
            "baselines": entries,
            "machine": machine,
        }

    def _compete(self, rival: Baseline) -> dict[str, Any]:
        """Choose a configuration by its error of training, and measure it."""
        candidates, search = list(rival.configurations), []
        for share, kept in ROUNDS:
            steps = max(1, round(share * self._steps))
            tried = [(one, self._train(rival.name, one, steps, 0)) for one in candidates]
            search += [_report(one, steps, trained) for one, trained in tried]
            candidates = _best_of_each(tried, kept)
        candidates += [replace(one, learning_rate=one.learning_rate / SLOWER) for one in candidates]
        final = [(one, self._train(rival.name, one, self._steps, 0)) for one in candidates]
        search += [_report(one, self._steps, trained) for one, trained in final]
        chosen, first = min(final, key=lambda pair: _error(pair[1]))
        seeds = range(1, self._seeds)
        runs = [first, *(self._train(rival.name, chosen, self._steps, seed) for seed in seeds)]
        finished = [run for run in runs if run is not None]
        if len(finished) < len(runs):
            raise TrainingError(f"{rival.name}: {len(runs) - len(finished)} trainings diverged")
        return {
            "name": rival.name,
            "kind": rival.kind,
            **chosen.describe(),
            "seconds": float(np.mean([run.seconds for run in finished])),
            "fit": self._summary([run.fit for run in finished]),
            "super_resolution": self._summary([run.super_resolution for run in finished]),
            "search": search,
        }

    def _summary(self, errors: list[NDArray[np.float64]]) -> dict[str, dict[str, float]]:
        """Mean and spread over seeds of every picture's error."""
        stacked = np.stack(errors)
        return {
            picture.name: {"mse": float(own.mean()), "spread": float(np.ptp(own))}
            for picture, own in zip(self._pictures, stacked.T, strict=True)
        }

    def _train(self, name: str, one: Configuration, steps: int, seed: int) -> Trained | None:
        """All pictures, each with parameters of its own; None if it diverged."""
        field = one.field
        if isinstance(field, FourierField):  # drawn, never trained: chance as well
            field = replace(field, seed=seed)
        side = len(self._pictures[0].small)
        settings = FitSettings(
            one.optimizer,
            steps,
            batch_size=side**2,
            learning_rate=one.learning_rate,
            patience=10**9,  # every training takes all of its steps
            seed=seed,
        )
        began = time.process_time()
        try:
            result = fit(field, pixel_coordinates(side, side), self._targets, settings)
        except TrainingError:
            self._say(f"{name}: diverged")
            return None
        seconds = (time.process_time() - began) / len(self._pictures)
        fitted, upsampled = (
            field.evaluate(result.parameters, pixel_coordinates(size, size)[None]).numpy()
            for size in (side, 2 * side)
        )
        pairs = list(zip(self._pictures, fitted, upsampled, strict=True))
        trained = Trained(
            np.array([mse(picture.small, values) for picture, values, _ in pairs]),
            np.array([mse(picture.large, values) for picture, _, values in pairs]),
            seconds,
        )
        self._say(f"{name}: {_error(trained):.2e}")
        return trained


def mse(image: NDArray[np.float64], values: NDArray[np.floating[Any]]) -> float:
    """Mean squared error of values, clipped to [0, 1], of as many elements as the image."""
    return float(np.mean((np.clip(values.reshape(image.shape), 0, 1) - image) ** 2))


def _error(trained: Trained | None) -> float:
    """What configurations are chosen by: the mean error of training, the worst if it diverged."""
    return math.inf if trained is None else float(trained.fit.mean())


def _best_of_each(
    tried: Sequence[tuple[Configuration, Trained | None]], kept: int
) -> list[Configuration]:
    """So many configurations of each optimiser, the best first."""
    ranked = [one for one, _ in sorted(tried, key=lambda pair: _error(pair[1]))]
    optimizers = dict.fromkeys(one.optimizer for one in ranked)
    return [
        one
        for optimizer in optimizers
        for one in [own for own in ranked if own.optimizer == optimizer][:kept]
    ]


def _report(one: Configuration, steps: int, trained: Trained | None) -> dict[str, Any]:
    """A line of the search; without an error if the training diverged."""
    error = None if trained is None else _error(trained)
    return one.describe() | {"steps": steps, "mean_fit_mse": error}


def _references(picture: Picture) -> dict[str, Any]:
    """What errors are to be compared with: a constant, and bicubic interpolation of true pixels."""
    bicubic = _resized(picture.small, len(picture.large))
    return {
        "name": picture.name,
        "side": len(picture.small),
        "variance": float(picture.small.var()),
        "bicubic_super_resolution_mse": mse(picture.large, bicubic),
    }
