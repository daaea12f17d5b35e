"""``quinr bench fit``: core-seconds until a frame is trained, cold and warm, by each optimiser."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import torch

from pipeline.benchmark.baseline import values_of
from pipeline.benchmark.machine import describe_machine, torch_threads
from quinr_lidar import Profile, RangeImage, metrics
from quinr_lidar.fields import Parameters, QuinrField, pixel_coordinates
from quinr_lidar.fields.field import parameter_count
from quinr_lidar.training import FitSettings, Optimizer, fit

TOLERANCE_DB = 0.1
LONGER = 10
"""The yardstick is a run of so many times the profile's steps."""
SHARES = (0.1, 0.2, 0.4, 0.7, 1.0, 2.0, 4.0)
"""Lengths that are tried, in lengths of the profile, until one is good enough."""
ADAMW_RATE = 2.5e-2
"""The best rate of AdamW (its axes are not the profile's, so it has a rate of its own)."""
OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)


def bench_fit(
    images: tuple[RangeImage, RangeImage],
    profile: Profile,
    seeds: Sequence[int],
    progress: Callable[[str], object] = lambda _: None,
    shares: Sequence[float] = SHARES,
) -> dict[str, Any]:
    """Time all optimisers on a frame, and on its follower from what the frame came to.

    Lengths that are tried are ``shares`` of the profile's steps.

    Returns:
        A dictionary ready for JSON. Its ``fits`` are the shortest trainings that came within
        ``tolerance_db`` of one ten times as long, or the longest that did not (``reached``): steps,
        ``core_seconds`` of one training on one thread, PSNR of the whole image before quantisation
        (``psnr_db``, mean over seeds, and ``psnr_spread_db``), and ``yardstick_db``, the PSNR of
        the longer training.
    """
    bench = _Bench(images, profile, seeds, progress, shares)
    with torch_threads(1):
        rows = bench.rows()
        machine = describe_machine()
    return {
        "parameters": parameter_count(profile.field()),
        "profile": profile.model_dump(mode="json"),
        "seeds": list(seeds),
        "tolerance_db": TOLERANCE_DB,
        "longer": LONGER,
        "fits": rows,
        "machine": machine,
    }


@dataclass(eq=False)
class _Bench:
    images: Sequence[RangeImage]
    profile: Profile
    seeds: Sequence[int]
    say: Callable[[str], object]
    shares: Sequence[float]

    def __post_init__(self) -> None:
        self._field: QuinrField = self.profile.field()
        self._coordinates = pixel_coordinates(*self.images[0].shape)
        self._targets = [
            torch.from_numpy(values_of(image).reshape(1, -1, 1)) for image in self.images
        ]
        self._starts: dict[int, Parameters] = {}

    def rows(self) -> list[dict[str, Any]]:
        """All optimisers, cold and warm."""
        found = []
        for start in ("cold", "warm"):
            settings = self.profile.fit_settings(warm=start == "warm")
            if start == "warm":
                usual = self.profile.fit_settings()
                self._starts = {seed: self._fit(usual, seed, 0) for seed in self.seeds}
            yardstick = self._row(settings, settings.optimizer, LONGER, start)["psnr_db"]
            self.say(f"{start}: {LONGER} times as long comes to {yardstick:.3f} dB")
            found += [self._shortest(start, one, settings, yardstick) for one in OPTIMIZERS]
        return found

    def _shortest(
        self, start: str, optimizer: Optimizer, settings: FitSettings, yardstick: float
    ) -> dict[str, Any]:
        row: dict[str, Any] = {}
        for share in self.shares:
            row = self._row(settings, optimizer, share, start) | {"yardstick_db": yardstick}
            row["reached"] = row["psnr_db"] >= yardstick - TOLERANCE_DB
            what = f"{start} {optimizer}, {row['steps']} steps"
            self.say(f"{what}: {row['psnr_db']:.3f} dB in {row['core_seconds']:.2f} core-seconds")
            if row["reached"]:
                break
        return row

    def _row(
        self, settings: FitSettings, optimizer: Optimizer, share: float, start: str
    ) -> dict[str, Any]:
        """Means of a training for each seed."""
        steps = max(1, round(share * settings.steps))
        rate = ADAMW_RATE if optimizer == "adamw" else settings.learning_rate
        # A plateau would end runs whose length is what is asked for.
        changes: dict[str, Any] = {"steps": steps, "learning_rate": rate, "patience": 10**9}
        settings, frame = replace(settings, optimizer=optimizer, **changes), int(start == "warm")
        began = time.process_time()
        trained = [self._fit(settings, seed, frame) for seed in self.seeds]
        seconds = (time.process_time() - began) / len(trained)
        psnrs = [self._psnr(parameters, frame) for parameters in trained]
        row = {"start": start, "optimizer": optimizer, "steps": steps, "core_seconds": seconds}
        spread = max(psnrs) - min(psnrs)
        return row | {"psnr_db": float(np.mean(psnrs)), "psnr_spread_db": spread}

    def _fit(self, settings: FitSettings, seed: int, frame: int) -> Parameters:
        settings, start = replace(settings, seed=seed), self._starts.get(seed)
        targets = self._targets[frame]
        return fit(self._field, self._coordinates, targets, settings, start=start).parameters

    def _psnr(self, parameters: Parameters, frame: int) -> float:
        values = self._field.evaluate(parameters, self._coordinates[None]).clamp(0, 1)
        return metrics.psnr(self._targets[frame].numpy(), values.numpy(), max_value=1.0)
