"""``quinr bench small-images``: QIREN's claims on small pictures, with equal numbers of parameters.

Zhao et al. 2024 ("Quantum Implicit Neural Representations", ICML) report for 32 x 32 pictures of
scikit-image an error 34.8 % below the best classical network's, with as many or fewer parameters,
and for 64 x 64 values of the same fits one 24 % below. Here every family of fields has the same
number of parameters, to within 5 %, and as many steps, and may choose its shape, its initial
frequencies, its optimiser and its learning rate.

The choice is by successive halving (Jamieson and Talwalkar 2016): short trainings of everything on
one seed, longer ones of the best, and in the end the best of each optimiser at full length. Only
errors of training decide, never those at twice the side.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.benchmark.machine import describe_machine, torch_threads
from pipeline.benchmark.small_fields import Configuration, Family
from quinr_lidar.errors import GeometryError, TrainingError
from quinr_lidar.fields import FourierField, pixel_coordinates
from quinr_lidar.training import FitSettings, Optimizer, fit

NAMES = ("astronaut", "camera", "coffee")
SIDE = 32
ROUNDS = ((1 / 20, 2), (1 / 8, 1))
"""Lengths of the trainings that choose, in lengths of the final ones, and how many of each
optimiser's configurations they leave."""
SLOWER = 4
"""At full length the rate is tried divided by it too: short rounds like rates that long trainings
do not survive."""
CLAIMS = {"fit": 34.8, "super_resolution": 24.0}
"""QIREN's reductions of the best classical network's error, percent (Zhao et al. 2024)."""


@dataclass(frozen=True)
class Picture:
    """What is fitted, float64 [S, S] in [0, 1], and what the fit should be at twice the side."""

    name: str
    small: NDArray[np.float64]
    large: NDArray[np.float64]


def most_trainings(rival: Family, seeds: int) -> int:
    """How many trainings a family takes at most."""
    optimizers = len({one.optimizer for one in rival.configurations})
    rounds = sum(kept for _, kept in ROUNDS) + ROUNDS[-1][1]
    return len(rival.configurations) + seeds - 1 + optimizers * rounds


Errors = dict[str, NDArray[np.float64]]
"""Mean squared errors, one a picture, by task: ``fit``, and ``super_resolution`` at twice the
side; ``seconds`` of the processor for one picture."""


def load_pictures(names: Sequence[str] = NAMES, side: int = SIDE) -> list[Picture]:
    """Pictures that scikit-image carries, grey, their central square, anti-aliased.

    Zhao et al.'s published code takes grey values, the central square and 32 x 32 pixels too.
    """
    # Slow to import.
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


def bench_small_images(
    pictures: Sequence[Picture],
    rivals: Sequence[Family],
    steps: int,
    seeds: int,
    progress: Callable[[str], object] = lambda _: None,
) -> dict[str, Any]:
    """All families on all pictures, and what their errors say of QIREN's claims, ready for JSON.

    ``steps`` and ``seeds`` are those of the final trainings.

    Raises:
        GeometryError: the pictures are not squares of one size, or large ones not twice as large.
        TrainingError: a final training diverged.
    """
    trainer = _Trainer(pictures, progress)
    with torch_threads(1):
        entries = [_compete(rival, trainer, steps, seeds) for rival in rivals]
        machine = describe_machine()
    rows = reductions(entries)
    return {
        "images": [_references(picture) for picture in pictures],
        "channels": "grey, as in the published code of QIREN's authors",
        "steps": steps,
        "seeds": seeds,
        "baselines": entries,
        "claims_percent": CLAIMS,
        "reductions": rows,
        "judgement": [judgement(row) for row in rows],
        "machine": machine,
    }


class _Trainer:
    """Trains a field on all pictures, each with parameters of its own."""

    def __init__(self, pictures: Sequence[Picture], say: Callable[[str], object]) -> None:
        self.side, self.pictures, self._say = len(pictures[0].small), pictures, say
        sides = {(picture.small.shape, picture.large.shape) for picture in pictures}
        if sides != {((self.side, self.side), (2 * self.side, 2 * self.side))}:
            raise GeometryError(f"pictures: expected squares of side {self.side} and twice that")
        targets = np.stack([picture.small.reshape(-1, 1) for picture in pictures])
        self._targets = torch.from_numpy(targets.astype(np.float32))

    def train(self, name: str, one: Configuration, steps: int, seed: int) -> Errors | None:
        """Errors of a training; ``None`` if it diverged."""
        field = one.field
        if isinstance(field, FourierField):  # drawn, never trained: chance as well
            field = replace(field, seed=seed)
        # Every training takes all of its steps.
        options: dict[str, Any] = {"batch_size": self.side**2, "patience": 10**9, "seed": seed}
        settings = FitSettings(one.optimizer, steps, learning_rate=one.learning_rate, **options)
        began = time.process_time()
        try:
            coordinates = pixel_coordinates(self.side, self.side)
            parameters = fit(field, coordinates, self._targets, settings).parameters
        except TrainingError:
            self._say(f"{name}: diverged")
            return None
        found = {"seconds": np.array((time.process_time() - began) / len(self.pictures))}
        for task, kind, side in (("fit", "small", 1), ("super_resolution", "large", 2)):
            grid = pixel_coordinates(side * self.side, side * self.side)
            values = field.evaluate(parameters, grid[None]).numpy()
            pairs = zip(self.pictures, values, strict=True)
            found[task] = np.array([mse(getattr(picture, kind), own) for picture, own in pairs])
        self._say(f"{name}: {_error(found):.2e}")
        return found


def _compete(rival: Family, trainer: _Trainer, steps: int, seeds: int) -> dict[str, Any]:
    """Choose a configuration by its error of training, and measure it."""
    candidates, search = list(rival.configurations), []
    for share, kept in ROUNDS:
        short = max(1, round(share * steps))
        tried = [(one, trainer.train(rival.name, one, short, 0)) for one in candidates]
        search += [_report(one, short, trained) for one, trained in tried]
        candidates = _best_of_each(tried, kept)
    candidates += [replace(one, learning_rate=one.learning_rate / SLOWER) for one in candidates]
    final = [(one, trainer.train(rival.name, one, steps, 0)) for one in candidates]
    search += [_report(one, steps, trained) for one, trained in final]
    chosen, first = min(final, key=lambda pair: _error(pair[1]))
    further = [trainer.train(rival.name, chosen, steps, seed) for seed in range(1, seeds)]
    runs = [run for run in (first, *further) if run is not None]
    if len(runs) < seeds:
        raise TrainingError(f"{rival.name}: {seeds - len(runs)} trainings diverged")

    def summary(task: str) -> dict[str, dict[str, float]]:
        errors = np.stack([run[task] for run in runs]).T
        return {
            picture.name: {"mse": float(own.mean()), "spread": float(np.ptp(own))}
            for picture, own in zip(trainer.pictures, errors, strict=True)
        }

    entry = {"name": rival.name, "kind": rival.kind, **chosen.describe()}
    entry["seconds"] = float(np.mean([run["seconds"] for run in runs]))
    return entry | {task: summary(task) for task in CLAIMS} | {"search": search}


def mse(image: NDArray[np.float64], values: NDArray[np.floating[Any]]) -> float:
    """Mean squared error of values, clipped to [0, 1], of as many elements as the image."""
    return float(np.mean((np.clip(values.reshape(image.shape), 0, 1) - image) ** 2))


def _error(trained: Errors | None) -> float:
    """What configurations are chosen by: the mean error of training, the worst if it diverged."""
    return math.inf if trained is None else float(trained["fit"].mean())


def _best_of_each(
    tried: Sequence[tuple[Configuration, Errors | None]], kept: int
) -> list[Configuration]:
    """So many configurations of each optimiser, the best first."""
    ranked = [one for one, _ in sorted(tried, key=lambda pair: _error(pair[1]))]
    by_optimizer: dict[Optimizer, list[Configuration]] = {}
    for one in ranked:
        by_optimizer.setdefault(one.optimizer, []).append(one)
    return [one for some in by_optimizer.values() for one in some[:kept]]


def _report(one: Configuration, steps: int, trained: Errors | None) -> dict[str, Any]:
    """A line of the search; without an error if the training diverged."""
    error = None if trained is None else _error(trained)
    return one.describe() | {"steps": steps, "mean_fit_mse": error}


def _references(picture: Picture) -> dict[str, Any]:
    """What errors are to be compared with: a constant, and bicubic interpolation of true pixels."""
    bicubic = mse(picture.large, _resized(picture.small, len(picture.large)))
    sizes = {"name": picture.name, "side": len(picture.small)}
    constant = float(picture.small.var())
    return sizes | {"variance": constant, "bicubic_super_resolution_mse": bicubic}


def reductions(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By how much errors of ``baselines`` lie below those of the best classical family.

    Returns:
        A row for each task and each family that is not classical: for every picture the reduction
        in percent (negative where the error is larger) and who is best, which may be another one
        for each picture and task, as by QIREN's authors; and the mean over pictures.
    """
    classical = [entry for entry in entries if entry["kind"] == "classical"]
    rows = []
    for task, entry in product(CLAIMS, [one for one in entries if one not in classical]):
        images = {}
        for image, own in entry[task].items():
            best = min(classical, key=lambda rival: rival[task][image]["mse"])
            percent = 100 * (1 - own["mse"] / best[task][image]["mse"])
            images[image] = {"percent": percent, "best_classical": best["name"]}
        mean = float(np.mean([row["percent"] for row in images.values()]))
        head = {"task": task, "name": entry["name"], "kind": entry["kind"]}
        rows.append(head | {"images": images, "mean_percent": mean})
    return rows


def judgement(row: dict[str, Any]) -> str:
    """A sentence on a row of :func:`reductions`; QIREN's are held against its claim."""
    percent, claim = row["mean_percent"], CLAIMS[row["task"]]
    best = ", ".join(sorted({own["best_classical"] for own in row["images"].values()}))
    head = f"{row['name']}, {row['task'].replace('_', '-')}"
    figure = (
        f"error on average {abs(percent):.1f} % {'lower' if percent > 0 else 'higher'} than the "
        f"best classical field's ({best})"
    )
    if row["kind"] != "qiren":
        return f"{head}: {figure}"
    verdict = "reproduced" if percent >= claim else "in part" if percent > 0 else "not reproduced"
    return f"{head}: {verdict}: {figure}; claimed {claim} % lower"
