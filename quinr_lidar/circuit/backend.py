"""Which simulator runs a circuit: the one place that chooses."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from quinr_lidar.circuit import native, statevector
from quinr_lidar.circuit.specification import CircuitSpec
from quinr_lidar.errors import BackendError

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


def choose_backend(
    device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> Backend:
    """The simulator for tensors of a device and dtype.

    The kernel takes float32 and float64 on the CPU, the torch simulator everything else. The
    environment variable ``QUINR_BACKEND`` overrides it: "native", "torch" or "auto".

    Raises:
        BackendError: the variable names no simulator, or one that cannot do it; or the kernel
            is not there. There is no silent fallback.
    """
    wanted = os.environ.get(VARIABLE) or "auto"
    if wanted not in ("auto", "native", "torch"):
        raise BackendError(f"{VARIABLE}: expected auto, native or torch, got {wanted!r}")
    device = torch.device(device)
    fits = device.type == "cpu" and dtype in (torch.float32, torch.float64)
    if wanted == "native" and not fits:
        raise BackendError(f"{VARIABLE}=native: the kernel cannot compute in {dtype} on {device}")
    if wanted == "torch" or not fits:
        return Backend("torch", str(device))
    return Backend("native", native.instruction_set())


def probabilities(
    spec: CircuitSpec, embedding: Tensor, rotations: Tensor, controlled: Tensor
) -> Tensor:
    """Probabilities of the last ``spec.outputs`` basis states, on the backend that is chosen.

    Args:
        spec: The circuit.
        embedding: [F, P, M] angles in radians, one row a pixel, F frames.
        rotations: [F, L, E, 4, n] angles in radians.
        controlled: [F, L, E, pairs] angles in radians.

    Returns:
        [F, P, outputs] in the dtype of ``embedding``.

    Raises:
        CircuitError: a tensor's shape or dtype does not fit the specification.
        BackendError: as :func:`choose_backend`.
    """
    chosen = choose_backend(embedding.device, embedding.dtype)
    simulator = native if chosen.name == "native" else statevector
    return simulator.probabilities(spec, embedding, rotations, controlled)
