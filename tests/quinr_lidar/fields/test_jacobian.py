from __future__ import annotations

import pytest
import torch

from quinr_lidar.fields import QuinrField, pixel_coordinates
from quinr_lidar.fields.field import flatten, parameter_count, unflatten
from quinr_lidar.fields.jacobian import autograd_jacobian, jacobian

COORDINATES = pixel_coordinates(3, 7, torch.float64)
FIELDS = [
    QuinrField(3, 7, 2),
    QuinrField(1, 2, 1),
    QuinrField(4, 5, 2, entangling_layers=2),
    QuinrField(2, 5, 2, outputs=3, w0=7.0),
    QuinrField(3, 5, 2, outputs=3, readout=5),
    QuinrField(2, 4, 2, outputs=5, readout=1),
    QuinrField(3, 4, 2, sine_layers=3, w0=20.0),
    QuinrField(2, 3, 1, outputs=2, readout=4, sine_layers=2),
]


def parameters(field: QuinrField):
    random = field.initial_parameters(1, torch.Generator().manual_seed(1))
    return {name: tensor.double() for name, tensor in random.items()}


@pytest.mark.parametrize("field", FIELDS)
def test_the_kernels_is_autograds(field):
    values, derivatives = jacobian(field, parameters(field), COORDINATES)
    expected_values, expected = autograd_jacobian(field, parameters(field), COORDINATES)
    assert derivatives.shape == (field.outputs, parameter_count(field), len(COORDINATES))
    torch.testing.assert_close(values, expected_values)
    torch.testing.assert_close(derivatives, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("field", [FIELDS[3], QuinrField(2, 3, 1, stages=2)])
def test_it_predicts_small_changes(field):
    here = parameters(field)
    values, derivatives = jacobian(field, here, COORDINATES)
    change = 1e-6 * torch.randn(
        1, parameter_count(field), generator=torch.Generator().manual_seed(2), dtype=torch.float64
    )
    there = unflatten(field, flatten(field, here) + change)
    moved = field.evaluate(there, COORDINATES[None])[0].T
    predicted = values + torch.einsum("cs,csp->cp", change.expand(field.outputs, -1), derivatives)
    torch.testing.assert_close(moved, predicted, rtol=0, atol=1e-9)


@pytest.mark.parametrize("field", FIELDS)
def test_flat_parameters_are_the_parameters(field):
    several = field.initial_parameters(2, torch.Generator())
    flat = flatten(field, several)
    assert flat.shape == (2, parameter_count(field))
    for name, tensor in unflatten(field, flat).items():
        assert torch.equal(tensor, several[name])
