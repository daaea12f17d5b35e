"""The kernel against the state-vector simulator: every size, tail, instruction set and thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from quinr_lidar import _native, kernel
from quinr_lidar.circuit import autograd, statevector
from quinr_lidar.circuit.native import native_spec
from quinr_lidar.circuit.specification import CircuitSpec
from quinr_lidar.errors import BackendError, CircuitError

SPEC = CircuitSpec(4, 9, 3, entangling_layers=2, outputs=3)
ATOL = {torch.float64: 1e-12, torch.float32: 3e-5}


@pytest.fixture(params=kernel.instruction_sets())
def isa(request, monkeypatch) -> str:
    monkeypatch.setenv(kernel.ISA_VARIABLE, request.param)
    return request.param


@pytest.fixture
def set_threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def tensors(
    spec: CircuitSpec, pixels: int, dtype: torch.dtype = torch.float64, frames: int = 1
) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(pixels)
    shapes = ((pixels, spec.features), spec.rotation_shape, spec.controlled_shape)
    return [
        (3 * torch.randn(frames, *shape, generator=generator, dtype=torch.float64))
        .to(dtype)
        .requires_grad_()
        for shape in shapes
    ]


def cotangent_of(probabilities: torch.Tensor) -> torch.Tensor:
    steps = torch.linspace(-1, 1, probabilities.numel(), dtype=torch.float64)
    return steps.to(probabilities.dtype).view_as(probabilities)


def all_of(simulator, spec: CircuitSpec, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    """Probabilities and gradients."""
    values = simulator.probabilities(spec, *inputs)
    return [
        values,
        *torch.autograd.grad(values, inputs, cotangent_of(values), materialize_grads=True),
    ]


def assert_same(ours: list[torch.Tensor], theirs: list[torch.Tensor], atol: float) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=atol)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_any_number_of_pixels(isa, dtype):
    for pixels in range(1, 71):
        inputs = tensors(SPEC, pixels, dtype)
        # Gradients are sums over pixels, so their rounding grows with them.
        atol = ATOL[dtype] * max(1, pixels / 8)
        assert_same(all_of(autograd, SPEC, inputs), all_of(statevector, SPEC, inputs), atol)


@pytest.mark.parametrize("qubits", range(1, 11))
def test_any_circuit(isa, qubits):
    for features, blocks, layers, outputs in (
        (1, 1, 1, 1),
        (qubits, 2, 1, 2),
        (2 * qubits + 1, 1, 2, 3),
        (3 * qubits - 1, 2, 3, 4),
        (2, 1, 1, 2**qubits),
    ):
        outputs = min(outputs, 2**qubits)
        spec = CircuitSpec(qubits, features, blocks, layers, outputs=outputs)
        inputs = tensors(spec, 5, frames=2)
        assert_same(all_of(autograd, spec, inputs), all_of(statevector, spec, inputs), 1e-11)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_jacobian_is_autograds(isa, dtype):
    spec = CircuitSpec(3, 7, 2, entangling_layers=2, outputs=2)
    inputs = tensors(spec, 19, dtype, frames=2)
    ours = autograd.jacobian(spec, *inputs)
    values = statevector.probabilities(spec, *inputs)
    torch.testing.assert_close(ours.probabilities, values.transpose(1, 2), rtol=0, atol=ATOL[dtype])
    for pixel in (0, 7, 18):
        for output in range(2):
            gradients = torch.autograd.grad(
                values[:, pixel, output].sum(), inputs, retain_graph=True
            )
            for mine, theirs in (
                (ours.embedding[:, output, :, pixel], gradients[0][:, pixel]),
                (ours.rotations[:, output, ..., pixel], gradients[1]),
                (ours.controlled[:, output, ..., pixel], gradients[2]),
            ):
                torch.testing.assert_close(mine, theirs, rtol=0, atol=ATOL[dtype])


def test_gradcheck(isa):
    spec = CircuitSpec(2, 5, 2, entangling_layers=2, outputs=2)
    assert torch.autograd.gradcheck(
        lambda *inputs: autograd.probabilities(spec, *inputs), tensors(spec, 3)
    )


def test_results_do_not_depend_on_threads(isa, set_threads):
    spec = CircuitSpec(5, 12, 2, outputs=2)
    inputs = tensors(spec, 5000, torch.float32, frames=3)
    set_threads(1)
    alone = all_of(autograd, spec, inputs)
    for threads in (2, 3, 7):
        set_threads(threads)
        for mine, other in zip(all_of(autograd, spec, inputs), alone, strict=True):
            assert torch.equal(mine, other)


def test_python_threads_do_not_meet(set_threads):
    set_threads(2)
    pixels = range(100, 132)
    expected = [all_of(autograd, SPEC, tensors(SPEC, count)) for count in pixels]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda count: all_of(autograd, SPEC, tensors(SPEC, count)), pixels))
    for mine, other in zip(found, expected, strict=True):
        for a, b in zip(mine, other, strict=True):
            assert torch.equal(a, b)


def test_it_runs_beside_python():
    """A long computation leaves the interpreter to others: it releases the GIL."""
    spec = CircuitSpec(8, 24, 24, outputs=1)
    inputs = [tensor.detach() for tensor in tensors(spec, 20_000, torch.float32)]
    counted = 0
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(autograd.probabilities, spec, *inputs)
        while not future.done():
            counted += 1
    # Holding the GIL, the kernel would let this loop run at its start and end only.
    assert counted > 1000


def test_views_are_as_good_as_copies():
    inputs = tensors(SPEC, 12)
    embedding = inputs[0].detach().transpose(1, 2).contiguous().transpose(1, 2)
    assert not embedding.is_contiguous()
    views = [embedding.requires_grad_(), *inputs[1:]]
    assert_same(all_of(autograd, SPEC, views), all_of(autograd, SPEC, inputs), 0)


def test_broadcast_cotangents():
    inputs = tensors(SPEC, 12)
    ours, theirs = (
        torch.autograd.grad(simulator.probabilities(SPEC, *inputs).sum(), inputs)
        for simulator in (autograd, statevector)
    )
    assert_same(list(ours), list(theirs), 1e-12)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_pixel_that_is_no_number_harms_no_other(isa, value):
    inputs = [tensor.detach() for tensor in tensors(SPEC, 33)]
    good = autograd.probabilities(SPEC, *inputs)
    inputs[0][0, 5, 2] = value
    bad = autograd.probabilities(SPEC, *inputs)
    assert bad[0, 5].isnan().all()
    others = torch.arange(33) != 5
    torch.testing.assert_close(bad[0, others], good[0, others], rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_large_angles(isa, dtype):
    """Beyond the range of the polynomials' argument reduction the C library takes over."""
    spec = CircuitSpec(2, 4, 1)
    for size in (1e2, 1e4, 1e7, 1e9):
        inputs = tensors(spec, 17, dtype)
        scaled = [(size * inputs[0]).detach(), *(tensor.detach() for tensor in inputs[1:])]
        torch.testing.assert_close(
            autograd.probabilities(spec, *scaled),
            statevector.probabilities(spec, *scaled),
            rtol=0,
            atol=1e-6 if dtype == torch.float64 else 2e-5,
        )


def test_no_pixels_and_no_frames():
    for frames, pixels in ((1, 0), (0, 3)):
        inputs = tensors(SPEC, pixels, frames=frames)
        values, *gradients = all_of(autograd, SPEC, inputs)
        assert values.shape == (frames, pixels, SPEC.outputs)
        assert all(not gradient.any() for gradient in gradients)
        assert autograd.jacobian(SPEC, *inputs).embedding.shape[-1] == pixels


def test_it_refuses_what_it_cannot_compute(monkeypatch):
    inputs = tensors(SPEC, 3)
    with pytest.raises(CircuitError, match=r"embedding.*float16"):
        autograd.probabilities(SPEC, *(tensor.half() for tensor in inputs))
    with pytest.raises(CircuitError, match="rotations"):
        autograd.probabilities(SPEC, inputs[0], inputs[1][..., :1], inputs[2])
    monkeypatch.setenv(kernel.ISA_VARIABLE, "sse9")
    with pytest.raises(BackendError, match=r"QUINR_ISA: expected one of .*baseline, got 'sse9'"):
        autograd.probabilities(SPEC, *inputs)


def test_the_extension_checks_every_shape():
    """A wrong one would read or write foreign memory, so it does not trust its caller."""
    spec = native_spec(SPEC)
    rotations, controlled = 4 * 6 * 4, 6 * 6
    shapes = {
        "embedding": (1, 5, 9),
        "rotations": (1, rotations),
        "controlled": (1, controlled),
        "out": (1, 5, 3),
    }
    good = {name: np.zeros(shape) for name, shape in shapes.items()}
    _native.probabilities(spec, **good, threads=1, isa="baseline")
    for name, array in good.items():
        for bad in (array[..., :-1].copy(), array[0], np.zeros((2, *array.shape[1:]))):
            with pytest.raises((ValueError, TypeError)):
                _native.probabilities(spec, **(good | {name: bad}), threads=1, isa="baseline")
    with pytest.raises((ValueError, TypeError)):
        _native.probabilities(
            spec, **(good | {"out": good["out"].astype("f4")}), threads=1, isa="baseline"
        )


@pytest.mark.parametrize(
    "changes",
    [
        {"qubits": 0},
        {"qubits": 17},
        {"outputs": 5},
        {"order": [0, 1]},
        {"order": [0, 1, 3]},
        {"order": [0, 1, -1]},
        {"pairs": [0]},
        {"pairs": [0, 2]},
    ],
)
def test_the_extension_refuses_impossible_circuits(changes):
    good = {"qubits": 2, "features": 3, "blocks": 1, "layers": 1, "outputs": 1}
    good |= {"order": [0, 1, 2], "pairs": [0, 1]}
    _native.CircuitSpec(**good)
    with pytest.raises(ValueError, match=r"."):
        _native.CircuitSpec(**(good | changes))
