"""Elementary functions: how accurate, what they do with nonsense, and with a caller's settings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from quinr_lidar import _native
from quinr_lidar.kernel import instruction_sets

Reference = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))


REFERENCES: dict[str, Reference] = {
    "sin": np.sin,
    "cos": np.cos,
    "exp": np.exp,
    "log": np.log,
    "sigmoid": sigmoid,
}
SPECIAL = np.array(
    (
        *(0.0, -0.0, 1e-45, -1e-45, 1e-38, 1.0, -1.0, 8192.0, 1e10, -1e10, 3e38),
        *(np.inf, -np.inf, np.nan, -np.nan),
        *(87.9, -87.9, 88.1, -88.1, np.pi / 4, 0.70710678, 2.0**23),
    ),
    np.float32,
)
SIGNALLING_NAN = np.array([0x7F800001, 0xFFA00000], np.uint32).view(np.float32)


def strict(name: str, x: NDArray[np.float32], isa: str) -> NDArray[np.float32]:
    out = np.empty_like(x)
    _native.strict_function(name, x, out, isa)
    return out


def spread(low: float, high: float) -> NDArray[np.float32]:
    return np.random.default_rng(0).uniform(low, high, 200_001).astype(np.float32)


def errors(
    name: str, x: NDArray[np.float32], isa: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Absolute ones, and in units of the last place of the exact result."""
    exact = REFERENCES[name](x.astype(np.float64))
    absolute = np.abs(strict(name, x, isa) - exact)
    return absolute, absolute / np.spacing(np.abs(exact).astype(np.float32))


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_sine_and_cosine(name, isa):
    for limit in (1.0, 20.0, 1000.0, 8192.0):
        assert errors(name, spread(-limit, limit), isa)[0].max() < 1.0e-7


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize(
    ("name", "low", "high", "units"),
    [
        ("exp", -87, 88, 1.5),
        ("log", 1e-6, 3, 1.5),
        ("log", 1, 1e30, 1.0),
        ("sigmoid", -80, 80, 3.0),
    ],
)
def test_units_in_the_last_place(name, low, high, units, isa):
    assert errors(name, spread(low, high), isa)[1].max() < units


@pytest.mark.parametrize("name", REFERENCES)
def test_the_same_bits_on_every_instruction_set(name):
    x = np.concatenate([SPECIAL, SIGNALLING_NAN, spread(-100, 100), spread(-1e5, 1e5)])
    best, *others = (strict(name, x, isa) for isa in instruction_sets())
    for other in others:
        np.testing.assert_array_equal(other.view(np.uint32), best.view(np.uint32))


@pytest.mark.parametrize("name", REFERENCES)
def test_nothing_but_finite_numbers(name):
    x = np.concatenate([SPECIAL, SIGNALLING_NAN])
    assert np.isfinite(strict(name, x, "baseline")).all()


def test_double_precision():
    for limit in (1.0, 1000.0, 1e6):
        x = np.random.default_rng(1).uniform(-limit, limit, 100_000)
        sine, cosine = np.empty_like(x), np.empty_like(x)
        _native.strict_sincos(x, sine, cosine)
        assert np.abs(sine - np.sin(x)).max() < 4e-16
        assert np.abs(cosine - np.cos(x)).max() < 4e-16


def test_a_caller_that_flushes_denormals_changes_nothing():
    # Results, inputs and intermediate products that are denormal.
    x = np.geomspace(1e-44, 1e-36, 1000).astype(np.float32)
    before = strict("sin", x, "baseline")
    assert (before > 0).all()
    if not torch.set_flush_denormal(True):
        pytest.skip("this machine cannot flush denormals")
    try:
        after = strict("sin", x, "baseline")
        # The caller's setting came back.
        assert (torch.tensor([1e-44]) * torch.tensor([1.0])).item() == 0
    finally:
        torch.set_flush_denormal(False)
    np.testing.assert_array_equal(before.view(np.uint32), after.view(np.uint32))


def test_refusals():
    x = np.zeros(3, np.float32)
    with pytest.raises(ValueError, match="there is no gamma"):
        _native.strict_function("gamma", x, x, "baseline")
    with pytest.raises(ValueError, match="unexpected shape"):
        _native.strict_function("sin", x, np.zeros(4, np.float32), "baseline")
    with pytest.raises(ValueError, match="has no sse9"):
        _native.strict_function("sin", x, x, "sse9")
