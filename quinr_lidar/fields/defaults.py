"""What most fields answer to :class:`~quinr_lidar.fields.field.Field`."""

from __future__ import annotations

from collections.abc import Mapping

from quinr_lidar.arrays import Array, namespace


class FieldDefaults:
    """For a field with a last bias ``output_offset`` whose angles, if it has any, all wrap."""

    @property
    def scalars(self) -> tuple[str, ...]:
        """The last bias, which a file keeps as float16."""
        return ("output_offset",)

    @property
    def periods(self) -> dict[str, float]:
        """No parameter is an angle."""
        return {}

    def wraps(self, name: str) -> bool:  # noqa: ARG002 (the protocol's)
        """True for all angles."""
        return True

    @property
    def learning_rates(self) -> dict[str, float]:
        """All parameters train at the same rate."""
        return {}

    def canonical(self, parameters: Mapping[str, Array]) -> dict[str, Array]:
        """Equivalent parameters with all angles within half their period of zero."""
        folded = {name: fold(parameters[name], period) for name, period in self.periods.items()}
        return dict(parameters) | folded


def fold(values: Array, period: float) -> Array:
    """Equivalent angles in [-period / 2, period / 2)."""
    return values - period * namespace(values).floor(values / period + 0.5)
