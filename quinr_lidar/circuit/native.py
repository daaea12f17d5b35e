"""The circuit on the C++ kernel, from NumPy arrays: float32 and float64, no gradients.

The same function as :mod:`quinr_lidar.circuit.statevector`, which defines it; hundreds of times
faster than a general simulator (docs/performance.md). :mod:`quinr_lidar.circuit.autograd` makes
it a function that torch differentiates.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.circuit.specification import CircuitSpec, check_arrays
from quinr_lidar.errors import CircuitError
from quinr_lidar.kernel import load_kernel, run_options


def probabilities(
    spec: CircuitSpec,
    embedding: NDArray[np.floating],
    rotations: NDArray[np.floating],
    controlled: NDArray[np.floating],
) -> NDArray[np.floating]:
    """Probabilities of the last ``spec.outputs`` basis states.

    Args:
        spec: The circuit.
        embedding: [F, P, M] angles in radians, float32 or float64.
        rotations: [F, L, E, 4, n] angles in radians, same dtype.
        controlled: [F, L, E, pairs] angles in radians, same dtype.

    Returns:
        [F, P, outputs] in the dtype of ``embedding``.

    Raises:
        CircuitError: an array's shape or dtype does not fit.
        BackendError: the kernel cannot be loaded.
    """
    check_arrays(spec, embedding, rotations, controlled)
    if embedding.dtype not in (np.float32, np.float64):
        raise CircuitError(f"embedding: expected float32 or float64, got {embedding.dtype}")
    frames, pixels, _ = embedding.shape
    out = np.empty((frames, pixels, spec.outputs), embedding.dtype)
    load_kernel().probabilities(
        native_spec(spec),
        np.ascontiguousarray(embedding),
        _flat(rotations),
        _flat(controlled),
        out,
        **run_options(),
    )
    return out


@lru_cache(maxsize=64)
def native_spec(spec: CircuitSpec) -> Any:
    """The circuit as an object of the kernel."""
    order = [feature for block in spec.feature_order for feature in block]
    pairs = [qubit for pair in spec.pair_list for qubit in pair]
    return load_kernel().CircuitSpec(
        qubits=spec.qubits,
        features=spec.features,
        blocks=spec.blocks,
        layers=spec.entangling_layers,
        outputs=spec.outputs,
        order=order,
        pairs=pairs,
    )


def _flat(array: NDArray[np.floating]) -> NDArray[np.floating]:
    """[F, everything else]."""
    return np.ascontiguousarray(array).reshape(len(array), int(np.prod(array.shape[1:])))
