from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from quinr_lidar.errors import TrainingError
from quinr_lidar.fields import QuinrField, pixel_coordinates
from quinr_lidar.fields.field import flatten, unflatten
from quinr_lidar.quantization.classes import (
    ParameterClass,
    levels,
    parameter_classes,
    step_of,
)
from quinr_lidar.quantization.rounding import choose_codes, round_parameters
from quinr_lidar.training.gauss_newton import image_matrix

FIELD = QuinrField(3, 6, 2)
SCALARS = ("embedding_scale", "output_scale", "output_offset")
COORDINATES = pixel_coordinates(12, 24)


def test_classes_cover_all_but_scalars_once():
    classes = parameter_classes(FIELD)
    assert [each.name for each in classes] == [
        "weight0",
        "weight0",
        "bias0",
        "rotations0",
        "controlled0",
    ]
    places = np.concatenate([each.index for each in classes])
    assert len(np.unique(places)) == len(places)
    named = unflatten(FIELD, torch.arange(float(flatten_size()))[None])
    left = set(range(flatten_size())) - set(places.tolist())
    assert left == {int(x) for name in SCALARS for x in named[_full(name)].reshape(-1)}
    np.testing.assert_array_equal(classes[1].index, named["weight0"][0, :, 1].numpy())
    assert [each.wraps for each in classes] == [True, True, True, True, False]


def flatten_size() -> int:
    return flatten(FIELD, FIELD.initial_parameters(1, torch.Generator())).shape[1]


def _full(name: str) -> str:
    return name + "0" if name == "embedding_scale" else name


def problem(seed: int = 0):
    parameters = FIELD.initial_parameters(1, torch.Generator().manual_seed(seed))
    matrix = image_matrix(FIELD, parameters, COORDINATES, 0)
    values = flatten(FIELD, FIELD.canonical(parameters))[0].double().numpy()
    return parameters, matrix, values


@settings(max_examples=30, deadline=None)
@given(st.floats(1e-3, 4.0), st.integers(0, 50))
def test_values_lie_on_their_grids(coarseness, seed):
    _, matrix, values = problem(seed)
    classes = parameter_classes(FIELD)
    codes = choose_codes(classes, matrix, 0.01, coarseness)
    rounded, moved = round_parameters(values, classes, codes, matrix)
    for each, grid in zip(classes, rounded, strict=True):
        step = step_of(each, grid.code)
        difference = moved[each.index] - grid.symbols * step
        if each.period is not None:
            turns = difference / each.period
            np.testing.assert_allclose(turns, np.rint(turns), atol=1e-9)
            assert (turns == 0).all() or each.wraps
            assert grid.symbols.min() >= -(levels(grid.code) // 2)
            assert grid.symbols.max() <= (levels(grid.code) - 1) // 2
        else:
            np.testing.assert_allclose(difference, 0, atol=1e-12)


def test_fine_steps_change_nothing():
    _, matrix, values = problem()
    classes = parameter_classes(FIELD)
    codes = choose_codes(classes, matrix, 1e-9, 1e-3)
    _, moved = round_parameters(values, classes, codes, matrix)
    np.testing.assert_allclose(moved, values, atol=1e-2)


def test_compensation_loses_less_than_rounding_alone():
    """What the Gauss-Newton matrix says of the loss, over many fields."""
    classes = parameter_classes(FIELD)
    plain_loss, compensated_loss = 0.0, 0.0
    for seed in range(8):
        _, matrix, values = problem(seed)
        codes = choose_codes(classes, matrix, 0.01, 1.0)
        _, compensated = round_parameters(values, classes, codes, matrix)
        _, plain = round_parameters(values, classes, codes, np.diag(np.diag(matrix)))
        for moved, kind in ((plain, "plain"), (compensated, "compensated")):
            change = moved - values
            loss = change @ matrix @ change
            if kind == "plain":
                plain_loss += loss
            else:
                compensated_loss += loss
    assert compensated_loss < 0.6 * plain_loss


def test_steep_parameters_get_fine_steps():
    matrix = np.diag([1.0, 1.0, 100.0, 100.0])
    flat = ParameterClass("flat", np.array([0, 1]), None, True)
    steep = ParameterClass("steep", np.array([2, 3]), None, True)
    codes = choose_codes([flat, steep], matrix, 0.01, 0.5)
    assert step_of(flat, codes[0]) / step_of(steep, codes[1]) == pytest.approx(10, rel=0.2)
    finer = choose_codes([flat, steep], matrix, 0.01, 0.25)
    assert step_of(flat, codes[0]) / step_of(flat, finer[0]) == pytest.approx(2, rel=0.1)


def test_a_controlled_rotation_stays_on_its_side():
    controlled = ParameterClass("controlled", np.array([0]), 2 * math.pi, False)
    wrapping = ParameterClass("bias", np.array([0]), 2 * math.pi, True)
    for code in (16, 20, 24):
        for value in (math.pi - 1e-6, -math.pi):
            for each in (controlled, wrapping):
                _, moved = round_parameters(np.array([value]), [each], [code], np.eye(1))
                side = math.copysign(1, value) == math.copysign(1, moved[0])
                assert side
                assert abs(moved[0] - value) <= step_of(each, code)


def test_what_is_no_number_is_an_error():
    _, matrix, values = problem()
    classes = parameter_classes(FIELD)
    codes = choose_codes(classes, matrix, 0.01, 1.0)
    for place, value in ((-1, np.nan), (0, np.nan), (0, np.inf), (0, 1e300)):
        bad = values.copy()
        bad[place] = value
        with pytest.raises(TrainingError, match="finite"):
            round_parameters(bad, classes, codes, matrix)
