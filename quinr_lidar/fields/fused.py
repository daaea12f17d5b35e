"""A quINR of one stage in one call of the compiled kernel, sine layers and read-out included."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from quinr_lidar.arrays import Array, like, to_numpy
from quinr_lidar.circuit import choose_backend
from quinr_lidar.circuit.native import native_spec
from quinr_lidar.fields.field import flatten
from quinr_lidar.kernel import load_kernel, run_options

if TYPE_CHECKING:
    from quinr_lidar.fields.quinr import QuinrField


def is_supported(field: QuinrField, device: object, dtype: object) -> bool:
    """Whether the kernel evaluates the whole field at once: one stage, on its own backend."""
    return field.stages == 1 and choose_backend(device, dtype).name == "native"


@lru_cache(maxsize=64)
def native_field(field: QuinrField) -> Any:
    """The field as an object of the kernel."""
    circuit = native_spec(field.circuits[0])
    return load_kernel().FieldSpec(
        circuit, field.inputs, field.sine_layers, field.w0, field.outputs, field.readout > 0
    )


def values(field: QuinrField, parameters: Mapping[str, Array], coordinates: Array) -> Array:
    """Values [F, P, outputs] at coordinates [F or 1, P, inputs]; not differentiable."""
    flat = to_numpy(flatten(field, parameters))
    out = np.empty((len(flat), coordinates.shape[1], field.outputs), flat.dtype)
    load_kernel().values(native_field(field), flat, to_numpy(coordinates), out, **run_options())
    return like(out, coordinates)
