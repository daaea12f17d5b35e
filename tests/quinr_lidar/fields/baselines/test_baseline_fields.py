"""The fields that quINR is compared with, against independent implementations."""

from __future__ import annotations

import math

import numpy as np
import pennylane as qml
import pytest
import torch

from quinr_lidar.errors import CircuitError
from quinr_lidar.fields import FourierField, QirenField, SirenField, pixel_coordinates
from quinr_lidar.fields.field import parameter_count
from quinr_lidar.fields.jacobian import jacobian
from quinr_lidar.training import FitSettings, fit

COORDINATES = pixel_coordinates(5, 7, torch.float64)
FIELDS = [
    SirenField(6, 3),
    SirenField(3, 1, outputs=3, w0=12.0),
    FourierField(4, 5, 2, seed=3),
    FourierField(3, 4, 1, "tanh", outputs=3, deviations=(1.0, 2.0)),
    QirenField(3, 2, 2),
    QirenField(1, 2, 1, 2, outputs=3),
]


def parameters_of(field, frames: int = 1):
    drawn = field.initial_parameters(frames, torch.Generator().manual_seed(4))
    return {name: tensor.double() for name, tensor in drawn.items()}


def test_siren_is_the_network_of_its_paper():
    field = FIELDS[0]
    named = parameters_of(field)
    values = COORDINATES.numpy()
    for layer in range(3):
        weight, bias = named[f"weight{layer}"][0].numpy(), named[f"bias{layer}"][0].numpy()
        values = np.sin(30 * (values @ weight.T + bias))
    expected = values @ named["weight3"][0].numpy().T + named["output_offset"][0].numpy()
    found = field.evaluate(named, COORDINATES[None])[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-12)
    # COIN's smallest network for Kodak has 5 layers of 20 units (Dupont et al. 2021, table 1).
    assert parameter_count(SirenField(20, 5, outputs=3)) == 60 + 4 * 420 + 63


def test_fourier_features_have_the_stated_deviations_and_never_change():
    field = FourierField(512, 4, deviations=(1.0, 3.0), seed=5)
    assert np.array_equal(
        field.directions, FourierField(512, 9, 2, deviations=(1.0, 3.0), seed=5).directions
    )
    np.testing.assert_allclose(field.directions.std(0), (1.0, 3.0), rtol=0.1)
    np.testing.assert_allclose(field.directions.mean(0), 0, atol=0.3)
    # Part of the file format.
    frozen = FourierField(2, 1, deviations=(1.0, 1.0), seed=1).directions
    np.testing.assert_allclose(frozen[0], (0.7267216544200573, -0.780700835743388), rtol=1e-12)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_fourier_network_is_tancik_s(activation):
    field = FourierField(4, 5, 2, activation)
    named = {name: tensor[0].numpy() for name, tensor in parameters_of(field).items()}
    angles = 2 * math.pi * COORDINATES.numpy() @ field.directions.T
    values = np.concatenate((np.cos(angles), np.sin(angles)), 1)
    bend = np.tanh if activation == "tanh" else (lambda x: np.maximum(x, 0))
    for layer in (1, 2):
        values = bend(values @ named[f"weight{layer}"].T + named[f"bias{layer}"])
    expected = values @ named["weight3"].T + named["output_offset"]
    found = field.evaluate(parameters_of(field), COORDINATES[None])[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_qiren_is_linear_maps_between_expectations():
    field = QirenField(3, 2, 2, outputs=2)
    named = {name: tensor[0] for name, tensor in parameters_of(field).items()}
    device = qml.device("default.qubit", wires=3)

    @qml.qnode(device)
    def layer(angles, rotations, controlled):
        for block in range(2):
            order = field.circuit.feature_order[block]
            for position, feature in enumerate(order):
                qml.RX(angles[feature], wires=position)
            for q in range(3):
                qml.RZ(rotations[block, 0, 0, q], wires=q)
                qml.RX(rotations[block, 0, 1, q], wires=q)
            for pair, wires in enumerate([(0, 1), (0, 2), (1, 2)]):
                qml.CRZ(controlled[block, 0, pair], wires=wires)
            for q in range(3):
                qml.RZ(rotations[block, 0, 2, q], wires=q)
                qml.RX(rotations[block, 0, 3, q], wires=q)
        return [qml.expval(qml.PauliZ(q)) for q in range(3)]

    found = field.evaluate(parameters_of(field), COORDINATES[None])[0]
    for point, value in list(zip(COORDINATES, found, strict=True))[::9]:
        hidden = point
        for stage in range(2):
            angles = named[f"weight{stage}"] @ hidden + named[f"bias{stage}"]
            hidden = torch.stack(
                layer(angles, named[f"rotations{stage}"], named[f"controlled{stage}"])
            )
        torch.testing.assert_close(value, named["readout"] @ hidden + named["output_offset"])


def test_qiren_begins_normalised():
    field = QirenField(4, 1, 1)
    named = field.initial_parameters(2, torch.Generator().manual_seed(0))
    angles = pixel_coordinates(40, 40) @ named["weight0"].transpose(1, 2) + named["bias0"][:, None]
    torch.testing.assert_close(angles.mean(1), torch.zeros(2, 4), rtol=0, atol=0.05)
    torch.testing.assert_close(angles.std(1), torch.ones(2, 4), rtol=0, atol=0.1)


@pytest.mark.parametrize("field", FIELDS, ids=repr)
def test_canonical_parameters_are_the_same_field(field):
    named = parameters_of(field, frames=2)
    for name, period in field.periods.items():
        named[name] = named[name] + 2.3 * period
    canonical = field.canonical(named)
    for name, period in field.periods.items():
        assert canonical[name].abs().max() <= period / 2
    torch.testing.assert_close(
        field.evaluate(canonical, COORDINATES[None]), field.evaluate(named, COORDINATES[None])
    )


@pytest.mark.parametrize("field", FIELDS, ids=repr)
def test_shapes_and_derivatives(field):
    named = parameters_of(field)
    assert {name: tuple(tensor.shape[1:]) for name, tensor in named.items()} == field.shapes
    values, derivatives = jacobian(field, named, COORDINATES)
    assert derivatives.shape == (field.outputs, parameter_count(field), len(COORDINATES))
    assert torch.isfinite(derivatives).all()
    torch.testing.assert_close(values.T, field.evaluate(named, COORDINATES[None])[0])


@pytest.mark.parametrize("field", FIELDS, ids=repr)
@pytest.mark.parametrize("optimizer", ["adamw", "gn-adam"])
def test_training_lowers_the_error(field, optimizer):
    coordinates = pixel_coordinates(12, 24)
    wave = 0.5 + 0.4 * torch.sin(2 * coordinates.sum(1))
    targets = wave[None, :, None].expand(1, -1, field.outputs)
    result = fit(
        field, coordinates, targets, FitSettings(optimizer, 100, 128, 1e-2, patience=10**6)
    )
    before = field.initial_parameters(1, torch.Generator().manual_seed(0))

    def error(parameters):
        return (field.evaluate(parameters, coordinates[None]) - targets).square().mean().item()

    assert error(result.parameters) < 0.7 * error(before)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SirenField(0, 1),
        lambda: SirenField(3, 1, w0=math.inf),
        lambda: SirenField(3, 1, frequencies=(1.0,)),
        lambda: FourierField(3, 3, 0),
        lambda: FourierField(3, 3, activation="gelu"),  # pyright: ignore[reportArgumentType]
        lambda: FourierField(3, 3, deviations=(1.0, math.nan)),
        lambda: QirenField(3, 1, stages=9),
        lambda: QirenField(0, 1),
    ],
)
def test_impossible_sizes_are_refused(make):
    with pytest.raises(CircuitError):
        make()
