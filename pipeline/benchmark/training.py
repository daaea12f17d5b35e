"""Core-seconds until a frame is trained: cold and warm, by each optimiser."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

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
"""The best of AdamW's (its axes are not the profile's, so it has a rate of its own)."""

OPTIMIZERS: tuple[Optimizer, ...] = ("gn-adam", "adamw")

Start = Literal["cold", "warm"]


@dataclass(frozen=True)
class FitTime:
    """The shortest training that was good enough, or the longest that was not.

    Attributes:
        start: "cold", or "warm" from the frame before.
        optimizer: What took the steps.
        reached: Whether it came within :data:`TOLERANCE_DB` of the yardstick.
        steps: Number of steps.
        core_seconds: Processor time of one training on one thread.
        psnr_db: Mean over seeds; whole image, before quantisation.
        psnr_spread_db: Largest less smallest.
        yardstick_db: PSNR of the longer run, mean over seeds.
    """

    start: Start
    optimizer: Optimizer
    reached: bool
    steps: int
    core_seconds: float
    psnr_db: float
    psnr_spread_db: float
    yardstick_db: float


@dataclass(frozen=True)
class _Trained:
    psnr: float
    seconds: float
    parameters: Parameters


class FitBench:
    """Two consecutive frames and the ways to train on them.

    Args:
        images: A frame and its follower.
        profile: Field, steps and rates.
        seeds: Trainings whose mean counts.
        progress: Called with a line for every training.
    """

    def __init__(
        self,
        images: tuple[RangeImage, RangeImage],
        profile: Profile,
        seeds: Sequence[int],
        progress: Callable[[str], None] | None = None,
    ) -> None:
        self._field: QuinrField = profile.field()
        self._profile, self._seeds = profile, seeds
        self._say = progress or (lambda _: None)
        self._coordinates = pixel_coordinates(*images[0].shape)
        self._targets = [
            torch.from_numpy((image.filled() / np.float32(image.no_return)).reshape(1, -1, 1))
            for image in images
        ]
        self._starts: dict[int, Parameters] = {}

    def run(self) -> dict[str, Any]:
        """All optimisers, cold and warm: a dictionary ready for JSON."""
        with torch_threads(1):
            rows = list(self._rows())
            machine = describe_machine()
        return {
            "parameters": parameter_count(self._field),
            "profile": self._profile.model_dump(mode="json"),
            "seeds": list(self._seeds),
            "tolerance_db": TOLERANCE_DB,
            "longer": LONGER,
            "fits": [asdict(row) for row in rows],
            "machine": machine,
        }

    def _rows(self) -> Iterator[FitTime]:
        starts: tuple[Start, Start] = ("cold", "warm")
        for start in starts:
            if start == "warm":
                for seed in self._seeds:
                    whole = self._profile.fit_settings()
                    self._starts[seed] = self._train(whole, seed, frame=0).parameters
            settings = self._profile.fit_settings(warm=start == "warm")
            longer = self._settings(settings, settings.optimizer, LONGER)
            yardstick = _mean(self._trainings(longer, start))
            self._say(f"{start}: {LONGER} times as long comes to {yardstick:.3f} dB")
            for optimizer in OPTIMIZERS:
                yield self._shortest(start, optimizer, settings, yardstick)

    def _shortest(
        self, start: Start, optimizer: Optimizer, settings: FitSettings, yardstick: float
    ) -> FitTime:
        row = None
        for share in SHARES:
            tried = self._settings(settings, optimizer, share)
            trained = self._trainings(tried, start)
            psnrs = [one.psnr for one in trained]
            row = FitTime(
                start,
                optimizer,
                _mean(trained) >= yardstick - TOLERANCE_DB,
                tried.steps,
                float(np.mean([one.seconds for one in trained])),
                round(_mean(trained), 3),
                round(max(psnrs) - min(psnrs), 3),
                round(yardstick, 3),
            )
            self._say(
                f"{start} {optimizer}, {row.steps} steps: {row.psnr_db:.3f} dB "
                f"in {row.core_seconds:.2f} core-seconds"
            )
            if row.reached:
                break
        assert row is not None  # noqa: S101 (SHARES is not empty)
        return row

    def _settings(self, settings: FitSettings, optimizer: Optimizer, share: float) -> FitSettings:
        """The profile's training by another optimiser and of another length."""
        rate = ADAMW_RATE if optimizer == "adamw" else settings.learning_rate
        return replace(
            settings,
            optimizer=optimizer,
            steps=max(1, round(share * settings.steps)),
            learning_rate=rate,
            patience=10**9,  # a plateau would end runs whose length is what is asked for
        )

    def _trainings(self, settings: FitSettings, start: Start) -> list[_Trained]:
        frame = 1 if start == "warm" else 0
        return [self._train(settings, seed, frame) for seed in self._seeds]

    def _train(self, settings: FitSettings, seed: int, frame: int) -> _Trained:
        targets: Tensor = self._targets[frame]
        settings = replace(settings, seed=seed)
        began = time.process_time()
        result = fit(
            self._field,
            self._coordinates,
            targets,
            settings,
            start=self._starts[seed] if frame else None,
        )
        seconds = time.process_time() - began
        values = self._field.evaluate(result.parameters, self._coordinates[None]).clamp(0, 1)
        psnr = metrics.psnr(targets.numpy(), values.numpy(), max_value=1.0)
        return _Trained(psnr, seconds, result.parameters)


def _mean(trained: Sequence[_Trained]) -> float:
    return float(np.mean([one.psnr for one in trained]))
