"""Which simulator runs a circuit: the one place that chooses."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from quinr_lidar.arrays import Array
from quinr_lidar.circuit import native
from quinr_lidar.circuit.specification import CircuitSpec
from quinr_lidar.errors import BackendError
from quinr_lidar.kernel import instruction_set

VARIABLE = "QUINR_BACKEND"


@dataclass(frozen=True)
class Backend:
    """A choice, in words for people: ``str(backend)``.

    Attributes:
        name: "native" (the C++ kernel) or "torch" (the state-vector simulator).
        detail: The kernel's instruction set, or torch's device.
    """

    name: Literal["native", "torch"]
    detail: str

    def __str__(self) -> str:
        return f"{self.name} ({self.detail})"


def choose_backend(device: object = "cpu", dtype: object = "float32") -> Backend:
    """The simulator for arrays of a device and dtype.

    The kernel takes float32 and float64 on the CPU, the torch simulator everything else. The
    environment variable ``QUINR_BACKEND`` overrides it: "native", "torch" or "auto".

    Args:
        device: A name, or a ``torch.device``.
        dtype: A name, or a dtype of NumPy or torch.

    Raises:
        BackendError: the variable names no simulator, or one that cannot do it; or the kernel
            is not there. There is no silent fallback.
    """
    wanted = os.environ.get(VARIABLE) or "auto"
    if wanted not in ("auto", "native", "torch"):
        raise BackendError(f"{VARIABLE}: expected auto, native or torch, got {wanted!r}")
    place, kind = str(device), str(dtype).removeprefix("torch.")
    fits = place.partition(":")[0] == "cpu" and kind in ("float32", "float64")
    if wanted == "native" and not fits:
        raise BackendError(f"{VARIABLE}=native: the kernel cannot compute in {kind} on {place}")
    if wanted == "torch" or not fits:
        return Backend("torch", place)
    return Backend("native", instruction_set())


def probabilities(
    spec: CircuitSpec, embedding: Array, rotations: Array, controlled: Array
) -> Array:
    """Probabilities of the last ``spec.outputs`` basis states, on the backend that is chosen.

    Differentiable for tensors of torch. NumPy arrays need torch only where ``QUINR_BACKEND`` says
    so.

    Args:
        spec: The circuit.
        embedding: [F, P, M] angles in radians, one row a pixel, F frames.
        rotations: [F, L, E, 4, n] angles in radians.
        controlled: [F, L, E, pairs] angles in radians.

    Returns:
        [F, P, outputs] in the dtype of ``embedding``.

    Raises:
        CircuitError: an array's shape or dtype does not fit the specification.
        BackendError: as :func:`choose_backend`.
    """
    chosen = choose_backend(embedding.device, embedding.dtype)
    arrays: tuple[Any, ...] = (embedding, rotations, controlled)
    if isinstance(embedding, np.ndarray) and chosen.name == "native":
        return native.probabilities(spec, *arrays)
    import torch

    from quinr_lidar.circuit import autograd, statevector

    simulator = autograd if chosen.name == "native" else statevector
    found: Any = simulator.probabilities(spec, *(torch.as_tensor(array) for array in arrays))
    return found.numpy() if isinstance(embedding, np.ndarray) else found
