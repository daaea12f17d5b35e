from __future__ import annotations

import math

import pennylane as qml
import pytest
import torch

from quinr_lidar.errors import CircuitError
from quinr_lidar.fields import QuinrField, pixel_coordinates
from quinr_lidar.fields.field import parameter_count


def parameters_of(field: QuinrField, frames: int = 1, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    parameters = field.initial_parameters(frames, generator)
    return {name: tensor.double() for name, tensor in parameters.items()}


def written_out(field: QuinrField, parameters, point):
    """The paper's field, gate by gate in PennyLane, for one coordinate pair."""
    values = point
    for stage, circuit in enumerate(field.circuits):
        scale = parameters[f"embedding_scale{stage}"][0, 0]
        for layer in range(field.sine_layers):
            name = f"{stage}_{layer}" if layer else f"{stage}"
            weight, bias = parameters[f"weight{name}"][0], parameters[f"bias{name}"][0]
            values = torch.sin(field.w0 * (weight @ values) + bias)
        angles = scale * values
        rotations = parameters[f"rotations{stage}"][0]
        controlled = parameters[f"controlled{stage}"][0]
        n = field.qubits

        @qml.qnode(qml.device("default.qubit", wires=n))
        def node(circuit=circuit, angles=angles, rotations=rotations, controlled=controlled, n=n):
            for block in range(field.blocks):
                for position, feature in enumerate(circuit.feature_order[block]):
                    gate = qml.RX if position // n % 2 == 0 else qml.RZ
                    gate(angles[feature], wires=position % n)
                for layer in range(field.entangling_layers):
                    for q in range(n):
                        qml.RZ(rotations[block, layer, 0, q], wires=q)
                        qml.RX(rotations[block, layer, 1, q], wires=q)
                    for pair, wires in enumerate(circuit.pair_list):
                        qml.CRZ(controlled[block, layer, pair], wires=wires)
                    for q in range(n):
                        qml.RZ(rotations[block, layer, 2, q], wires=q)
                        qml.RX(rotations[block, layer, 3, q], wires=q)
            return qml.probs(wires=range(n))

        values = torch.as_tensor(node())[-circuit.outputs :]
    if field.readout:
        return parameters["readout"][0] @ values + parameters["output_offset"][0]
    return values * parameters["output_scale"][0] + parameters["output_offset"][0]


@pytest.mark.parametrize(
    "field",
    [
        QuinrField(3, 7, 2),
        QuinrField(2, 3, 2, stages=2, shuffle_seed=9),
        QuinrField(2, 2, 1, entangling_layers=2, outputs=3, w0=10.0),
        QuinrField(2, 3, 1, stages=2, outputs=5, readout=3),
        QuinrField(3, 4, 2, sine_layers=3),
        QuinrField(2, 3, 1, stages=2, sine_layers=2),
    ],
)
def test_it_is_the_papers_network(field):
    parameters = parameters_of(field)
    coordinates = pixel_coordinates(2, 2, torch.float64)
    values = field.evaluate(parameters, coordinates[None])[0]
    for value, point in zip(values, coordinates, strict=True):
        torch.testing.assert_close(value, written_out(field, parameters, point))


def test_canonical_angles_are_the_same_field():
    field = QuinrField(3, 5, 2, entangling_layers=2, stages=2)
    parameters = parameters_of(field, frames=2)
    for name in field.periods:
        noise = torch.randn(parameters[name].shape, generator=torch.Generator().manual_seed(1))
        parameters[name] = parameters[name] + 12 * noise.double()
    canonical = field.canonical(parameters)
    for name in field.periods:
        assert canonical[name].abs().max() <= math.pi
        assert (parameters[name].abs() > math.pi).any()
    coordinates = pixel_coordinates(4, 8, torch.float64)[None]
    torch.testing.assert_close(
        field.evaluate(canonical, coordinates), field.evaluate(parameters, coordinates)
    )


def test_shapes_and_count():
    field = QuinrField(qubits=5, features=19, blocks=5)
    parameters = parameters_of(field, frames=3)
    assert list(parameters) == list(field.shapes)
    assert all(tensor.shape[0] == 3 for tensor in parameters.values())
    # W 38, b 19, embedding scale, 5 blocks of 4 n rotations and n (n - 1) / 2 CRZ, scale, offset
    assert parameter_count(field) == 38 + 19 + 1 + 5 * (20 + 10) + 2
    values = field.evaluate(parameters, pixel_coordinates(4, 8, torch.float64)[None])
    assert values.shape == (3, 32, 1)


def test_one_qubit_has_no_controlled_rotations():
    field = QuinrField(1, 3, 2)
    assert "controlled0" not in field.shapes
    values = field.evaluate(parameters_of(field), pixel_coordinates(2, 4, torch.float64)[None])
    assert values.shape == (1, 8, 1)


def test_coordinates_are_pixel_centres():
    coordinates = pixel_coordinates(2, 4)
    assert coordinates.shape == (8, 2)
    torch.testing.assert_close(coordinates[0], torch.tensor([-0.75, -0.5]))
    torch.testing.assert_close(coordinates[-1], torch.tensor([0.75, 0.5]))
    torch.testing.assert_close(coordinates[1], torch.tensor([-0.25, -0.5]))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"stages": 5}, "stages"),
        ({"w0": 0.0}, "w0"),
        ({"qubits": 0}, "qubits"),
        ({"outputs": 9}, "outputs"),
        ({"frequencies": (1.0,)}, "frequencies"),
    ],
)
def test_impossible_sizes_are_refused(settings, reason):
    with pytest.raises(CircuitError, match=reason):
        QuinrField(**({"qubits": 3, "features": 6, "blocks": 2} | settings))
