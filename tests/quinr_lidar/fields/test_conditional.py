"""The conditional field: its definition, and that the strict kernel computes the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from quinr_lidar.entropy.layer_models import LayerModel
from quinr_lidar.errors import CircuitError
from quinr_lidar.fields.conditional import ConditionalField
from quinr_lidar.kernel import instruction_sets

FIELDS = [
    ConditionalField(1, 1, (1,), 1, 1),
    ConditionalField(29, 1, (16,), 4, 2),
    ConditionalField(51, 30, (64, 32), 4, 2),
    ConditionalField(7, 3, (5, 9, 3), 2, 3),
    ConditionalField(3, 2, (4, 3, 2, 6), 3, 5),
    ConditionalField(11, 6, (40,), 5, 4),
    ConditionalField(128, 128, (13, 128), 6, 2),
]


def draw(field: ConditionalField, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    parameters = field.initial_parameters(generator)
    parameters["offset"] = torch.randn(field.outputs, generator=generator)
    return parameters


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("field", FIELDS)
def test_the_strict_kernel_computes_what_the_field_defines(field, isa):
    parameters = draw(field)
    x = torch.randn(45, field.inputs, generator=torch.Generator().manual_seed(2))
    out = np.empty((45, field.outputs), np.float32)
    LayerModel(field, parameters).strict.evaluate(x.numpy(), out, isa=isa)
    doubles = {name: tensor.double() for name, tensor in parameters.items()}
    np.testing.assert_allclose(out, field.evaluate(doubles, x.double()), rtol=0, atol=5e-5)
    np.testing.assert_allclose(out, field.evaluate(parameters, x), rtol=0, atol=1e-4)


def test_every_parameter_has_its_shape_and_moves_the_outputs():
    field = ConditionalField(5, 3, (7, 4), 2, 2)
    parameters = draw(field)
    assert {name: tuple(t.shape) for name, t in parameters.items()} == field.shapes
    x = torch.randn(20, 5, generator=torch.Generator().manual_seed(1))
    before = field.evaluate(parameters, x)
    for name, tensor in parameters.items():
        moved = field.evaluate(parameters | {name: tensor + 0.1}, x)
        assert (moved - before).abs().max() > 1e-5, name


def test_gradients_are_those_of_finite_differences():
    field = ConditionalField(3, 2, (4, 3), 2, 2)
    parameters = {name: tensor.double() for name, tensor in draw(field).items()}
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(1)).double()
    names = list(parameters)
    for tensor in parameters.values():
        tensor.requires_grad_()
    torch.autograd.gradcheck(
        lambda *values: field.evaluate(dict(zip(names, values, strict=True)), x),
        tuple(parameters.values()),
    )


def test_a_seed_makes_the_first_parameters_repeatable():
    field = FIELDS[1]
    first, again, other = draw(field), draw(field), draw(field, seed=1)
    for name in first:
        torch.testing.assert_close(first[name], again[name], rtol=0, atol=0)
    assert not torch.equal(first["weight0"], other["weight0"])


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0, 1, (4,), 2, 1), r"inputs: expected 1\.\.128, got 0"),
        ((129, 1, (4,), 2, 1), "inputs"),
        ((4, 129, (4,), 2, 1), "outputs"),
        ((4, 1, (), 2, 1), "sine layers"),
        ((4, 1, (4,) * 5, 2, 1), "sine layers"),
        ((4, 1, (4, 0), 2, 1), "width"),
        ((4, 1, (129, 4), 2, 1), "width"),
        ((4, 1, (4,), 0, 1), "qubits"),
        ((4, 1, (4,), 7, 1), "qubits"),
        ((4, 1, (4,), 2, 33), "blocks"),
    ],
)
def test_sizes_are_bounded(sizes, message):
    with pytest.raises(CircuitError, match=message):
        ConditionalField(*sizes)


def test_the_largest_sizes_fit_the_strict_kernel():
    field = ConditionalField(128, 128, (128,) * 4, 6, 32)
    x, out = np.zeros((1, 128), np.float32), np.full((1, 128), np.nan, np.float32)
    LayerModel(field, draw(field)).strict.evaluate(x, out, isa="baseline")
    assert np.isfinite(out).all()
