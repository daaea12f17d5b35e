"""Rounding in groups, with training in between."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from quinr_lidar.fields import QuinrField, SirenField, pixel_coordinates
from quinr_lidar.fields.field import flatten, parameter_count, unflatten
from quinr_lidar.quantization.classes import parameter_classes, step_of
from quinr_lidar.quantization.refit import Refitter
from quinr_lidar.quantization.rounding import choose_codes, round_parameters
from quinr_lidar.training import FitSettings, fit
from quinr_lidar.training.gauss_newton import image_matrix

COORDINATES = pixel_coordinates(16, 48)
TARGETS = (0.5 + 0.4 * torch.sin(3 * COORDINATES[:, :1] + COORDINATES[:, 1:] ** 2)).float()


def trained(field, seed=0):
    settings = FitSettings("adamw", 500, 256, 1e-2, patience=10**6, seed=seed)
    parameters = fit(field, COORDINATES, TARGETS[None], settings).parameters
    return flatten(field, field.canonical(parameters))[0].double().numpy()


def error(field, values):
    named = unflatten(field, torch.from_numpy(values).float()[None])
    found = field.evaluate(named, COORDINATES[None])[0].clamp(0, 1)
    return (found - TARGETS).square().mean().item()


@pytest.mark.parametrize("field", [QuinrField(3, 5, 1, sine_layers=3), SirenField(7, 3)])
def test_it_loses_less_than_rounding_at_once(field):
    classes, ratios = parameter_classes(field), []
    for seed in range(2):
        values = trained(field, seed)
        matrix = image_matrix(
            field, unflatten(field, torch.from_numpy(values).float()[None]), COORDINATES, 0
        )
        codes = choose_codes(classes, matrix, error(field, values), coarseness=3.0)
        _, at_once = round_parameters(values, classes, codes, matrix, 1e-2)
        refit = Refitter(field, COORDINATES, TARGETS, batch_size=256, seed=0)
        rounded, in_groups = round_parameters(
            values, classes, codes, matrix, 1e-2, refit=refit, groups=3
        )
        ratios.append(error(field, in_groups) / error(field, at_once))
        # Every class lies on its grid all the same.
        for each, own, code in zip(classes, rounded, codes, strict=True):
            assert own.code == code
            turns = in_groups[each.index] / step_of(each, code)
            np.testing.assert_allclose(turns, np.rint(turns), atol=1e-6)
    assert np.mean(ratios) < 0.85


def test_what_is_fixed_stays_and_what_does_not_help_is_dropped():
    field = QuinrField(2, 4, 1)
    values = trained(field)
    free = np.arange(parameter_count(field)) % 2 == 0
    refit = Refitter(field, COORDINATES, TARGETS, batch_size=64, seed=0)
    moved = values + 0.05 * ~free
    after, matrix = refit(moved, free)
    np.testing.assert_array_equal(after[~free], moved[~free])
    assert error(field, after) < error(field, moved)
    assert matrix.shape == (len(values),) * 2
    again, _ = refit(values, np.zeros_like(free))
    np.testing.assert_array_equal(again, values)
