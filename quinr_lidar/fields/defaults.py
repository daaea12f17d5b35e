"""Answers that most fields give to what :class:`~quinr_lidar.fields.field.Field` asks."""

from __future__ import annotations

import torch
from torch import Tensor

from quinr_lidar.fields.field import Parameters


class FieldDefaults:
    """For a field with a last bias ``output_offset`` whose angles, if it has any, all wrap."""

    @property
    def scalars(self) -> tuple[str, ...]:
        """The last bias, which a file keeps as float16."""
        return ("output_offset",)

    @property
    def periods(self) -> dict[str, float]:
        """No tensor holds angles."""
        return {}

    def wraps(self, name: str) -> bool:  # noqa: ARG002 (the protocol's)
        """All angles do."""
        return True

    @property
    def learning_rates(self) -> dict[str, float]:
        """All tensors train alike."""
        return {}

    def canonical(self, parameters: Parameters) -> Parameters:
        """Equivalent parameters with all angles within half their period of zero."""
        folded = {name: _fold(parameters[name], period) for name, period in self.periods.items()}
        return parameters | folded


def _fold(values: Tensor, period: float) -> Tensor:
    """Equivalent angles in [-period / 2, period / 2)."""
    return values - period * torch.floor(values / period + 0.5)
