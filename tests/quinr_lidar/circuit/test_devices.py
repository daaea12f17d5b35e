"""Circuits on PennyLane's devices: exact runs, shots, noise, wrong readings."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from quinr_lidar.circuit import CircuitSpec, statevector
from quinr_lidar.circuit.devices import DeviceRun, device_probabilities, sample_probabilities
from quinr_lidar.errors import BackendError, CircuitError

SPEC = CircuitSpec(3, 7, 2, entangling_layers=2, outputs=2, shuffle_seed=5)
WHOLE = CircuitSpec(2, 5, 2, outputs=4)


def tensors(spec: CircuitSpec, pixels: int = 4, frames: int = 2) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    shapes = ((pixels, spec.features), spec.rotation_shape, spec.controlled_shape)
    return [
        2 * torch.randn(frames, *shape, generator=generator, dtype=torch.float64)
        for shape in shapes
    ]


@pytest.mark.parametrize("device", ["default.qubit", "lightning.qubit", "default.mixed"])
@pytest.mark.parametrize("spec", [SPEC, WHOLE, CircuitSpec(1, 2, 2)], ids=str)
def test_exact_runs_are_the_simulators(device, spec):
    inputs = tensors(spec)
    found = device_probabilities(DeviceRun(device))(spec, *inputs)
    assert found.dtype == torch.float64
    assert not found.requires_grad
    expected = statevector.probabilities(spec, *inputs)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_large_batches_run_in_parts():
    inputs = tensors(SPEC, pixels=7)
    found = device_probabilities(DeviceRun(), max_values=3 * SPEC.states)(SPEC, *inputs)
    expected = statevector.probabilities(SPEC, *inputs)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("device", ["default.qubit", "lightning.qubit", "default.mixed"])
def test_shots_scatter_as_binomials(device):
    """Errors over their expected size sqrt(p (1 - p) / shots): mean square 1, at any shots."""
    inputs = tensors(WHOLE, pixels=50, frames=1)
    exact = statevector.probabilities(WHOLE, *inputs)
    for shots in (100, 1600):
        found = device_probabilities(DeviceRun(device, shots=shots))(WHOLE, *inputs)
        assert torch.equal((found * shots).round() / shots, found)
        scores = (found - exact) / (exact * (1 - exact) / shots).sqrt()
        # 200 squares, three of every four independent: their mean strays by about 0.12.
        assert abs(scores.square().mean() - 1) < 0.5
        torch.testing.assert_close(found.sum(-1), torch.ones(1, 50, dtype=torch.float64))


@pytest.mark.parametrize("device", ["default.qubit", "lightning.qubit"])
def test_seeds(device):
    inputs = tensors(SPEC, pixels=6, frames=1)
    inputs[0][:, 1:] = inputs[0][:, :1]
    run = DeviceRun(device, shots=500, readout_error=0.05, seed=1)
    first = device_probabilities(run)(SPEC, *inputs)
    assert torch.equal(device_probabilities(run)(SPEC, *inputs), first)
    assert len(first[0, :, 0].unique()) > 1, "equal pixels are measured anew"
    for seed in (2, None):
        other = DeviceRun(device, shots=500, readout_error=0.05, seed=seed)
        assert not torch.equal(device_probabilities(other)(SPEC, *inputs), first)


def test_noise():
    inputs = tensors(WHOLE)
    exact = statevector.probabilities(WHOLE, *inputs)

    def noisy(probability: float) -> torch.Tensor:
        return device_probabilities(DeviceRun("default.mixed", depolarizing=probability))(
            WHOLE, *inputs
        )

    assert (noisy(0.0) - exact).abs().max() < 1e-10
    errors = [(noisy(probability) - exact).abs().max() for probability in (1e-4, 1e-3, 1e-2)]
    assert errors == sorted(errors)
    assert errors[0] > 1e-5
    # X, Y, Z or nothing, each as likely: nothing of the state is left.
    torch.testing.assert_close(noisy(0.75), torch.full_like(exact, 0.25), rtol=0, atol=1e-10)


def test_shots_of_noisy_circuits():
    run = DeviceRun("default.mixed", shots=4000, depolarizing=0.75)
    found = device_probabilities(run)(WHOLE, *tensors(WHOLE))
    assert torch.equal((found * 4000).round() / 4000, found)
    torch.testing.assert_close(found, torch.full_like(found, 0.25), rtol=0, atol=0.04)


def test_every_gate_is_followed_by_noise_on_its_qubits():
    """One qubit by hand: each channel shrinks the Bloch vector by 1 - 4 p / 3."""
    spec = CircuitSpec(1, 1, 1)
    embedding = torch.full((1, 1, 1), 0.7, dtype=torch.float64)
    zeros = [torch.zeros(1, *spec.rotation_shape), torch.zeros(1, *spec.controlled_shape)]
    run = DeviceRun("default.mixed", depolarizing=0.03)
    found = device_probabilities(run)(spec, embedding, *(zero.double() for zero in zeros))
    gates = 1 + 4
    assert found.item() == pytest.approx((1 - (1 - 0.04) ** gates * math.cos(0.7)) / 2)


def test_readout_errors():
    inputs = tensors(WHOLE)
    exact = statevector.probabilities(WHOLE, *inputs)
    run = DeviceRun(readout_error=0.5)
    found = device_probabilities(run)(WHOLE, *inputs)
    torch.testing.assert_close(found, torch.full_like(exact, 0.25), rtol=0, atol=1e-12)
    flipped = device_probabilities(DeviceRun(readout_error=1.0))(WHOLE, *inputs)
    torch.testing.assert_close(flipped, exact.flip(-1), rtol=0, atol=1e-12)
    wrong = 0.1
    found = device_probabilities(DeviceRun(readout_error=wrong))(WHOLE, *inputs)
    bits = exact.view(*exact.shape[:-1], 2, 2)
    for axis in (-1, -2):
        bits = (1 - wrong) * bits + wrong * bits.flip(axis)
    torch.testing.assert_close(found, bits.flatten(-2), rtol=0, atol=1e-12)


def test_measured_bits_are_misread_as_often_as_probabilities_say():
    inputs = tensors(WHOLE)
    exact = device_probabilities(DeviceRun(readout_error=0.1))(WHOLE, *inputs)
    run = DeviceRun(shots=40_000, readout_error=0.1)
    found = device_probabilities(run)(WHOLE, *inputs)
    torch.testing.assert_close(found.sum(-1), torch.ones_like(found[..., 0]))
    torch.testing.assert_close(found, exact, rtol=0, atol=5 * 0.5 / math.sqrt(40_000))
    assert not torch.equal(found, exact)


def test_samples_scatter_as_binomials():
    exact = statevector.probabilities(SPEC, *tensors(SPEC, pixels=2000, frames=1))
    generator = np.random.default_rng(0)
    for shots in (16, 4096):
        found = sample_probabilities(exact, shots, generator)
        assert found.shape == exact.shape
        variance = (exact * (1 - exact)).sum() / shots
        assert (found - exact).square().sum() == pytest.approx(variance.item(), rel=0.2)
        assert abs((found - exact).mean()) < 5 * math.sqrt(variance) / exact.numel()


def test_samples_of_whole_states():
    exact = statevector.probabilities(WHOLE, *tensors(WHOLE)).float()
    found = sample_probabilities(exact, 64, np.random.default_rng(0))
    assert found.dtype == torch.float64
    torch.testing.assert_close(found.sum(-1), torch.ones(2, 4, dtype=torch.float64))
    certain = sample_probabilities(torch.tensor([0.0, 1.0]), 7, np.random.default_rng(0))
    assert certain.tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    "exact", [[0.7, 0.7], [-0.1, 0.5], [float("nan"), 0.5]], ids=["above", "below", "nan"]
)
def test_only_probabilities_are_sampled(exact):
    with pytest.raises(CircuitError, match="exact: expected probabilities"):
        sample_probabilities(torch.tensor(exact), 10, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"device": ""}, "device: expected"),
        ({"shots": 0}, "shots: expected an integer >= 1, got 0"),
        ({"shots": 1.5}, "shots: expected"),
        ({"shots": True}, "shots: expected"),
        ({"device": "default.mixed", "depolarizing": 1.2}, r"depolarizing: .*\[0, 1\], got 1.2"),
        ({"depolarizing": float("nan")}, "depolarizing: expected a probability"),
        ({"depolarizing": 0.1}, "depolarizing: .*only default.mixed simulates noise"),
        ({"readout_error": -0.1}, "readout_error: expected a probability"),
        ({"readout_error": "0.1"}, "readout_error: expected a probability"),
        ({"seed": -1}, "seed: expected an integer >= 0 or None, got -1"),
    ],
)
def test_impossible_runs(values, message):
    with pytest.raises(BackendError, match=message):
        DeviceRun(**values)


@pytest.mark.filterwarnings("ignore:Operator .* does not define a decomposition")
def test_unknown_devices_and_wrong_tensors():
    inputs = tensors(SPEC)
    with pytest.raises(BackendError, match=r"'no.such'; installed are .*default\.qubit.*lightning"):
        device_probabilities(DeviceRun("no.such"))(SPEC, *inputs)
    with pytest.raises(BackendError, match=r"device default\.gaussian: "):
        device_probabilities(DeviceRun("default.gaussian"))(SPEC, *inputs)
    with pytest.raises(CircuitError, match="rotations"):
        device_probabilities(DeviceRun())(SPEC, inputs[0], inputs[1][..., :1], inputs[2])
    with pytest.raises(BackendError, match="shots: expected"):
        sample_probabilities(torch.tensor([0.5]), 0, np.random.default_rng(0))


def test_no_pixels():
    inputs = tensors(SPEC, pixels=0)
    assert device_probabilities(DeviceRun())(SPEC, *inputs).shape == (2, 0, 2)


def test_the_library_loads_without_pennylane():
    code = "import sys, quinr_lidar, quinr_lidar.circuit; assert 'pennylane' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
