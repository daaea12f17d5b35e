"""The circuit on the C++ kernel as a function that torch differentiates: CPU, float32, float64.

The same function as :mod:`quinr_lidar.circuit.statevector`, which defines it. The kernel uses as
many threads as torch; results do not depend on how many there are.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from quinr_lidar.arrays import to_numpy
from quinr_lidar.circuit.native import native_spec
from quinr_lidar.circuit.specification import CircuitSpec, check_arrays
from quinr_lidar.errors import CircuitError
from quinr_lidar.kernel import load_kernel, run_options


class CircuitJacobian(NamedTuple):
    """Probabilities and their derivatives, pixel by pixel; F frames, O outputs, P pixels.

    Attributes:
        probabilities: [F, O, P].
        embedding: [F, O, M, P], by the embedded angles.
        rotations: [F, O, L, E, 4, n, P].
        controlled: [F, O, L, E, pairs, P].
    """

    probabilities: Tensor
    embedding: Tensor
    rotations: Tensor
    controlled: Tensor


def probabilities(
    spec: CircuitSpec, embedding: Tensor, rotations: Tensor, controlled: Tensor
) -> Tensor:
    """Like :func:`quinr_lidar.circuit.statevector.probabilities`; differentiable once.

    Args:
        spec: The circuit.
        embedding: [F, P, M] angles in radians, float32 or float64 on the CPU.
        rotations: [F, L, E, 4, n] angles in radians.
        controlled: [F, L, E, pairs] angles in radians.

    Returns:
        [F, P, outputs] in the dtype of ``embedding``.

    Raises:
        CircuitError: a tensor's shape, dtype or device does not fit.
        BackendError: the kernel cannot be loaded.
    """
    _check(spec, embedding, rotations, controlled)
    return _Probabilities.apply(spec, embedding, rotations, controlled)


def jacobian(
    spec: CircuitSpec, embedding: Tensor, rotations: Tensor, controlled: Tensor
) -> CircuitJacobian:
    """Derivatives of every pixel's probabilities by every angle.

    Args:
        spec: The circuit.
        embedding: [F, P, M] angles in radians, float32 or float64 on the CPU.
        rotations: [F, L, E, 4, n] angles in radians.
        controlled: [F, L, E, pairs] angles in radians.

    Raises:
        CircuitError: a tensor's shape, dtype or device does not fit.
        BackendError: the kernel cannot be loaded.
    """
    _check(spec, embedding, rotations, controlled)
    frames, pixels, _ = embedding.shape
    outputs = (frames, spec.outputs)
    result = CircuitJacobian(
        embedding.new_empty(*outputs, pixels),
        embedding.new_empty(*outputs, spec.features, pixels),
        embedding.new_empty(*outputs, *spec.rotation_shape, pixels),
        embedding.new_empty(*outputs, *spec.controlled_shape, pixels),
    )
    load_kernel().jacobian(
        native_spec(spec),
        to_numpy(embedding),
        _flat(rotations),
        _flat(controlled),
        to_numpy(result.probabilities),
        to_numpy(result.embedding),
        to_numpy(result.rotations.view(*outputs, math.prod(spec.rotation_shape), pixels)),
        to_numpy(result.controlled.view(*outputs, math.prod(spec.controlled_shape), pixels)),
        **run_options(),
    )
    return result


class _Probabilities(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, spec: CircuitSpec, embedding: Tensor, rotations: Tensor, controlled: Tensor
    ) -> Tensor:
        out = embedding.new_empty(*embedding.shape[:2], spec.outputs)
        load_kernel().probabilities(
            native_spec(spec),
            to_numpy(embedding),
            _flat(rotations),
            _flat(controlled),
            to_numpy(out),
            **run_options(),
        )
        ctx.spec = spec
        ctx.save_for_backward(embedding, rotations, controlled)
        return out

    @staticmethod
    @once_differentiable  # wraps ctx into a positional argument, which torch's types do not expect
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        (cotangent,) = grad_outputs
        embedding, rotations, controlled = ctx.saved_tensors
        gradients = tuple(
            torch.empty_like(tensor, memory_format=torch.contiguous_format)
            for tensor in (embedding, rotations, controlled)
        )
        load_kernel().gradients(
            native_spec(ctx.spec),
            to_numpy(embedding),
            _flat(rotations),
            _flat(controlled),
            to_numpy(cotangent),
            to_numpy(torch.empty_like(cotangent, memory_format=torch.contiguous_format)),
            to_numpy(gradients[0]),
            _flat(gradients[1]),
            _flat(gradients[2]),
            **run_options(),
        )
        return None, *gradients


def _flat(tensor: Tensor) -> NDArray[Any]:
    """[F, everything else]; views stay views, so the kernel may write through them."""
    frames, *rest = tensor.shape
    return to_numpy(tensor).reshape(frames, math.prod(rest))


def _check(spec: CircuitSpec, embedding: Tensor, rotations: Tensor, controlled: Tensor) -> None:
    check_arrays(spec, embedding, rotations, controlled)
    for name, tensor in (
        ("embedding", embedding),
        ("rotations", rotations),
        ("controlled", controlled),
    ):
        if tensor.device.type != "cpu" or tensor.dtype not in (torch.float32, torch.float64):
            raise CircuitError(
                f"{name}: the kernel expects float32 or float64 on the CPU, "
                f"got {tensor.dtype} on {tensor.device}"
            )
