from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quinr_lidar.errors import TrainingError
from quinr_lidar.quantization.uniform import QuantizedTensor, dequantize, quantize, step_size

values = st.lists(st.floats(-100, 100), min_size=1, max_size=40).map(np.array)


@given(values, st.integers(2, 16))
def test_ordinary_values_are_within_half_a_step(x, bits):
    tensor = quantize(x, bits, None)
    assert tensor.symbols.max() < 2**bits
    assert tensor.step_code is not None
    # A step is at most one eighth of an octave above the smallest that fits.
    step = step_size(tensor.step_code)
    assert step <= max(2**-24, np.abs(x).max() / (2 ** (bits - 1) - 0.5) * 2 ** (1 / 8) * 1.001)
    assert np.abs(dequantize(tensor, None) - x).max() <= step / 2 * (1 + 1e-9)


@given(values, st.integers(2, 16), st.sampled_from([2 * math.pi, 4 * math.pi, 1.0]))
def test_angles_are_within_half_a_step_modulo_the_period(x, bits, period):
    tensor = quantize(x, bits, period)
    back = dequantize(tensor, period)
    distance = np.abs((back - x + period / 2) % period - period / 2)
    assert distance.max() <= period / 2**bits / 2 * (1 + 1e-9)
    assert back.min() >= -period / 2
    assert back.max() < period / 2
    assert tensor.step_code is None


def test_zeros_stay_zero():
    assert not dequantize(quantize(np.zeros(5), 8, None), None).any()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_not_finite_is_refused(bad):
    with pytest.raises(TrainingError, match="finite"):
        quantize(np.array([0.0, bad]), 8, None)


def test_out_of_range_is_refused():
    with pytest.raises(TrainingError, match=r"bits: expected 2..16, got 1"):
        quantize(np.zeros(1), 1, None)
    with pytest.raises(TrainingError, match="too large"):
        quantize(np.array([1e9]), 8, None)
    with pytest.raises(TrainingError, match="step_code"):
        dequantize(QuantizedTensor(np.zeros(1, np.uint32), 8, None), None)
