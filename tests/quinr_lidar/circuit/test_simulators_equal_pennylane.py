"""The simulators against PennyLane: probabilities and gradients of every input."""

from __future__ import annotations

import random

import pytest
import torch

from quinr_lidar.circuit import autograd, statevector
from quinr_lidar.circuit.pennylane import build_qnode, draw
from quinr_lidar.circuit.specification import CircuitSpec
from quinr_lidar.circuit.statevector import probabilities

PIXELS = 3


def random_specs() -> list[CircuitSpec]:
    """Thirty specs that cover every number of qubits, blocks, layers and outputs."""
    generator = random.Random(2026)
    specs = []
    for index in range(30):
        qubits = index % 8 + 1
        specs.append(
            CircuitSpec(
                qubits=qubits,
                features=generator.randint(1, 2 * qubits + 1) if index % 2 else 2 * qubits + 1,
                blocks=index % 6 + 1,
                entangling_layers=generator.choice((1, 1, 2, 3)),
                outputs=min(index % 3 + 1, 2**qubits),
                shuffle_seed=generator.randrange(2**32),
            )
        )
    return specs


def tensors(spec: CircuitSpec, dtype: torch.dtype, frames: int = 1) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(spec.shuffle_seed % 2**31)
    shapes = ((PIXELS, spec.features), spec.rotation_shape, spec.controlled_shape)
    return [
        (3 * torch.randn(frames, *shape, generator=generator, dtype=torch.float64))
        .to(dtype)
        .requires_grad_()
        for shape in shapes
    ]


@pytest.mark.parametrize(
    "spec", random_specs(), ids=lambda s: f"n{s.qubits}M{s.features}L{s.blocks}"
)
@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_probabilities_and_gradients_are_pennylanes(spec, dtype, atol):
    inputs = tensors(spec, dtype)
    # The reference always computes in double precision, from the very same numbers.
    reference_inputs = [tensor[0].detach().double().requires_grad_() for tensor in inputs]
    reference = build_qnode(spec, diff_method="backprop")(*reference_inputs)
    weights = torch.linspace(0.5, 1.5, reference.numel(), dtype=torch.float64)
    weights = weights.view(reference.shape)
    expected = torch.autograd.grad(
        (reference * weights).sum(), reference_inputs, materialize_grads=True
    )
    for simulator in (statevector, autograd):
        ours = simulator.probabilities(spec, *inputs)
        assert ours.shape == (1, PIXELS, spec.outputs)
        assert ours.dtype == dtype
        name = simulator.__name__
        torch.testing.assert_close(ours[0].double(), reference, rtol=0, atol=atol, msg=name)
        gradients = torch.autograd.grad(
            (ours[0] * weights.to(dtype)).sum(), inputs, materialize_grads=True
        )
        for mine, theirs in zip(gradients, expected, strict=True):
            torch.testing.assert_close(mine[0].double(), theirs, rtol=0, atol=atol, msg=name)


def test_frames_are_simulated_as_if_alone():
    spec = CircuitSpec(3, 7, 3, entangling_layers=2, outputs=2)
    inputs = tensors(spec, torch.float64, frames=4)
    together = probabilities(spec, *inputs)
    for frame in range(4):
        alone = probabilities(spec, *(tensor[frame : frame + 1] for tensor in inputs))
        torch.testing.assert_close(together[frame], alone[0])


def test_probabilities_sum_to_one():
    spec = CircuitSpec(4, 9, 3, outputs=16)
    total = probabilities(spec, *tensors(spec, torch.float64)).sum(-1)
    torch.testing.assert_close(total, torch.ones_like(total))


def test_gradcheck():
    spec = CircuitSpec(2, 3, 2, outputs=2)
    assert torch.autograd.gradcheck(
        lambda *inputs: probabilities(spec, *inputs), tensors(spec, torch.float64)
    )


def test_shots_approach_the_exact_probabilities():
    spec = CircuitSpec(2, 3, 1, outputs=2)
    inputs = [tensor[0].detach() for tensor in tensors(spec, torch.float64)]
    exact = build_qnode(spec)(*inputs)
    sampled = torch.as_tensor(build_qnode(spec, shots=20_000)(*inputs))
    torch.testing.assert_close(sampled.double(), exact, rtol=0, atol=0.03)
    assert not torch.equal(sampled.double(), exact)


def test_drawing_shows_every_gate():
    spec = CircuitSpec(2, 3, 2)
    drawing = draw(spec)
    assert drawing.count("RX") + drawing.count("RZ") >= 2 * 3 + 2 * 8
    assert drawing.splitlines()[0].startswith("0:")
    assert "Probs" in drawing
