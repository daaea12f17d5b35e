"""Entropy models for tests."""

from __future__ import annotations

import torch

from quinr_lidar.entropy.models import EntropyModel, built_in_models, pack_model
from quinr_lidar.layers import mask, ranges


def coarser(entropy_model: EntropyModel | None = None) -> EntropyModel:
    """The built-in entropy model, or another one, rounded to steps of twice the width."""
    given = entropy_model or built_in_models()["hdl64"]
    layers = {name: (model.field, model.parameters) for name, model in given.layers.items()}
    return pack_model(layers, bits=given.data[5] - 1)


def untaught() -> EntropyModel:
    """One that has learnt nothing: small fields of random parameters."""
    generator = torch.Generator().manual_seed(1)
    of_mask = mask.model_shape().field((6,), qubits=2, blocks=2)
    of_ranges = ranges.model_shape().field((12, 8), qubits=3, blocks=2)
    linear = 0.02 * torch.randn(ranges.model_shape().further[ranges.LINEAR], generator=generator)
    return pack_model(
        {
            mask.NAME: (of_mask, of_mask.initial_parameters(generator)),
            ranges.NAME: (
                of_ranges,
                of_ranges.initial_parameters(generator) | {ranges.LINEAR: linear},
            ),
        }
    )
