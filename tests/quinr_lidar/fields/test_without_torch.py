"""What a decoder computes from NumPy arrays is what a training computes from tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from quinr_lidar.arrays import to_numpy
from quinr_lidar.circuit import backend
from quinr_lidar.fields import FourierField, QirenField, QuinrField, SirenField, pixel_centres
from quinr_lidar.fields.conditional import ConditionalField
from quinr_lidar.fields.field import flatten, unflatten

FIELDS = [
    QuinrField(3, 7, 2),
    QuinrField(4, 9, 2, entangling_layers=2, outputs=3, readout=6, sine_layers=3),
    QuinrField(1, 3, 2),
    QuinrField(3, 5, 2, stages=2),
    SirenField(8, 3),
    FourierField(6, 9, 2),
    FourierField(6, 9, 1, "tanh", outputs=3, seed=5),
    QirenField(3, 2, stages=2),
    QirenField(1, 2),
]
COORDINATES = pixel_centres(9, 13).reshape(1, -1, 2)


def drawn(field) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    parameters = field.initial_parameters(1, generator)
    return {name: values.double() for name, values in parameters.items()}


@pytest.mark.parametrize("field", FIELDS, ids=str)
@pytest.mark.parametrize("simulator", ["auto", "torch"])
def test_values_are_those_of_torch(field, simulator, monkeypatch):
    tensors = drawn(field)
    found = field.evaluate({n: to_numpy(t) for n, t in tensors.items()}, COORDINATES)
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float64
    # With gradients, and so through the circuit's simulator, not in one call of the kernel.
    monkeypatch.setenv(backend.VARIABLE, simulator)
    graph = {name: tensor.requires_grad_() for name, tensor in tensors.items()}
    expected = field.evaluate(graph, torch.from_numpy(COORDINATES))
    assert expected.requires_grad
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("field", FIELDS, ids=str)
def test_the_torch_simulator_takes_numpy_arrays(field, monkeypatch):
    arrays = {name: to_numpy(tensor) for name, tensor in drawn(field).items()}
    expected = field.evaluate(arrays, COORDINATES)
    monkeypatch.setenv(backend.VARIABLE, "torch")
    np.testing.assert_allclose(field.evaluate(arrays, COORDINATES), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("field", FIELDS, ids=str)
def test_canonical_parameters_are_those_of_torch(field):
    tensors = {name: 3 * tensor for name, tensor in drawn(field).items()}
    found = field.canonical({name: to_numpy(tensor) for name, tensor in tensors.items()})
    for name, expected in field.canonical(tensors).items():
        np.testing.assert_allclose(found[name], expected.numpy(), rtol=0, atol=1e-12)


def test_flat_parameters_are_those_of_torch():
    field = FIELDS[1]
    tensors = drawn(field)
    arrays = {name: to_numpy(tensor) for name, tensor in tensors.items()}
    flat = flatten(field, arrays)
    np.testing.assert_array_equal(flat, flatten(field, tensors).numpy())
    for name, values in unflatten(field, flat).items():
        np.testing.assert_array_equal(values, arrays[name])
        assert np.shares_memory(values, flat)


def test_conditional_fields_evaluate_numpy_arrays():
    field = ConditionalField(inputs=5, outputs=3, widths=(7, 4), qubits=3, blocks=2)
    tensors = {
        name: tensor.double()
        for name, tensor in field.initial_parameters(torch.Generator().manual_seed(2)).items()
    }
    inputs = np.random.default_rng(0).normal(size=(20, 5))
    found = field.evaluate({name: to_numpy(tensor) for name, tensor in tensors.items()}, inputs)
    expected = field.evaluate(tensors, torch.from_numpy(inputs)).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
