"""The circuit on the fused C++ kernel: CPU, float32 and float64.

Same function as :mod:`quinr_lidar.circuit.statevector`, which defines it; hundreds of times
faster than a general simulator (docs/performance.md). Threads are torch's; results do not depend
on how many there are. The instruction set is the best one the machine has, or the one that the
environment variable ``QUINR_ISA`` names.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from quinr_lidar.circuit.specification import CircuitSpec
from quinr_lidar.circuit.statevector import check_tensors
from quinr_lidar.errors import BackendError, CircuitError

try:
    import quinr_lidar._native as kernel
except ImportError as error:
    kernel = None
    _import_error: ImportError | None = error
else:
    _import_error = None

ISA_VARIABLE = "QUINR_ISA"


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


def load_kernel() -> Any:
    """The extension module.

    Raises:
        BackendError: it was not built, or cannot be loaded.
    """
    if kernel is None:
        raise BackendError(
            f"the circuit kernel cannot be loaded ({_import_error}): install quinr-lidar with "
            "`pip install`, which builds it, or set QUINR_BACKEND=torch to do without"
        )
    return kernel


def instruction_sets() -> list[str]:
    """Instruction sets the kernel can use on this machine, the best one first."""
    return load_kernel().instruction_sets()


def instruction_set() -> str:
    """The instruction set in use.

    Raises:
        BackendError: ``QUINR_ISA`` names one that this machine does not have.
    """
    usable = instruction_sets()
    wanted = os.environ.get(ISA_VARIABLE) or usable[0]
    if wanted not in usable:
        raise BackendError(f"{ISA_VARIABLE}: expected one of {', '.join(usable)}, got {wanted!r}")
    return wanted


def run_options() -> dict[str, Any]:
    """What every call of the kernel is told: torch's number of threads, the instruction set.

    Raises:
        BackendError: as :func:`instruction_set`.
    """
    return {"threads": torch.get_num_threads(), "isa": instruction_set()}


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
        array(embedding),
        _flat(rotations),
        _flat(controlled),
        array(result.probabilities),
        array(result.embedding),
        array(result.rotations.view(*outputs, _count(spec.rotation_shape), pixels)),
        array(result.controlled.view(*outputs, _count(spec.controlled_shape), pixels)),
        **run_options(),
    )
    return result


@lru_cache(maxsize=64)
def native_spec(spec: CircuitSpec) -> Any:
    """The circuit as the kernel wants it."""
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


def array(tensor: Tensor) -> NDArray[Any]:
    """A contiguous tensor's memory as a NumPy array."""
    return tensor.detach().contiguous().numpy()


class _Probabilities(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, spec: CircuitSpec, embedding: Tensor, rotations: Tensor, controlled: Tensor
    ) -> Tensor:
        out = embedding.new_empty(*embedding.shape[:2], spec.outputs)
        load_kernel().probabilities(
            native_spec(spec),
            array(embedding),
            _flat(rotations),
            _flat(controlled),
            array(out),
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
            array(embedding),
            _flat(rotations),
            _flat(controlled),
            array(cotangent),
            array(torch.empty_like(cotangent, memory_format=torch.contiguous_format)),
            array(gradients[0]),
            _flat(gradients[1]),
            _flat(gradients[2]),
            **run_options(),
        )
        return None, *gradients


def _flat(tensor: Tensor) -> NDArray[Any]:
    """[F, everything else]; views stay views, so the kernel may write through them."""
    frames, *rest = tensor.shape
    return array(tensor).reshape(frames, _count(rest))


def _count(shape: tuple[int, ...] | list[int]) -> int:
    return torch.Size(shape).numel()


def _check(spec: CircuitSpec, embedding: Tensor, rotations: Tensor, controlled: Tensor) -> None:
    check_tensors(spec, embedding, rotations, controlled)
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
