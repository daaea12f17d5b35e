"""Settings and progress of a training; imports no torch, so that settings are known without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Optimizer = Literal["adamw", "gn-adam"]


@dataclass(frozen=True)
class FitSettings:
    """How long and how fast to train.

    Attributes:
        optimizer: "adamw", or "gn-adam": Adam along the eigenvectors of the Gauss-Newton matrix,
            which gives way to AdamW for fields of very many parameters.
        steps: Optimiser steps at most.
        batch_size: Pixels a step, see :func:`~quinr_lidar.training.batches.draw_batch`.
        learning_rate: Peak rate: a linear warm-up leads to it, a cosine to zero follows.
        warmup: Share of the steps spent warming up.
        weight_decay: Weight decay of AdamW.
        patience: Steps without progress after which training cools down and stops.
        plateau: Relative fall of the loss (mean of ``patience`` steps) that counts as progress.
        cooldown: Share of ``steps`` over which the rate falls to zero after a plateau.
        seed: Seed of the initial parameters and of the batches.
    """

    optimizer: Optimizer = "gn-adam"
    steps: int = 3000
    batch_size: int = 1536
    learning_rate: float = 2e-2
    warmup: float = 0.1
    weight_decay: float = 0.0
    patience: int = 600
    plateau: float = 2e-3
    cooldown: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class FitProgress:
    """What a progress callback gets.

    Attributes:
        step: Number of steps done.
        steps: Number of steps at most.
        loss: Mean squared error of the last step's batch.
    """

    step: int
    steps: int
    loss: float
