from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from quinr_lidar.byte_io import ByteReader, pack_digits, unpack_digits
from quinr_lidar.errors import BitstreamError, TrainingError
from quinr_lidar.fields import QuinrField, pixel_coordinates
from quinr_lidar.fields.field import flatten
from quinr_lidar.layers.field_section import pack_rounded_preview, unpack_preview
from quinr_lidar.quantization.rate_control import RoundedField, Rounder
from quinr_lidar.training.gauss_newton import image_matrix

fields = st.builds(
    QuinrField,
    qubits=st.integers(1, 4),
    features=st.integers(1, 9),
    blocks=st.integers(1, 4),
    entangling_layers=st.integers(1, 2),
    stages=st.integers(1, 2),
)


def rounder(field: QuinrField, error: float = 0.01) -> Rounder:
    parameters = field.initial_parameters(1, torch.Generator().manual_seed(3))
    matrix = image_matrix(field, parameters, pixel_coordinates(8, 16), 0)
    pack = partial(pack_rounded_preview, field, threshold=0.0)
    return Rounder(field, parameters, matrix, error, pack=pack)


def size(field: QuinrField, rounded: RoundedField) -> int:
    return len(pack_rounded_preview(field, rounded.values, rounded.classes, 0.0))


@settings(max_examples=40, deadline=None)
@given(fields, st.floats(0.05, 4.0), st.integers(0, 65535))
def test_what_is_written_is_read(field, coarseness, threshold):
    rounded = rounder(field).round(coarseness, 1e-2)
    payload = pack_rounded_preview(field, rounded.values, rounded.classes, threshold / 65535)
    preview = unpack_preview(payload)
    assert preview.field == field
    assert preview.threshold == threshold / 65535
    read = flatten(field, preview.parameters)[0]
    wrapped = np.angle(np.exp(1j * (read - rounded.values)))
    for name, places in _places(field).items():
        if name in field.periods and not name.startswith("controlled"):
            np.testing.assert_allclose(wrapped[places], 0, atol=1e-9)
        elif name.startswith(("embedding", "output")):
            np.testing.assert_allclose(read[places], rounded.values[places], rtol=1e-3, atol=1e-6)
        else:
            np.testing.assert_allclose(read[places], rounded.values[places], atol=1e-9)


def _places(field: QuinrField) -> dict[str, np.ndarray]:
    places, start = {}, 0
    for name, shape in field.shapes.items():
        count = int(np.prod(shape))
        places[name] = np.arange(start, start + count)
        start += count
    return places


def test_a_budget_is_kept_and_used():
    field = QuinrField(4, 9, 4)
    steps = []
    for budget in (90, 120, 150, 200):
        candidates = rounder(field).candidates(0.6, budget)
        assert all(0.97 * budget <= size(field, one) <= budget for one in candidates)
        steps.append(min(one.classes[0].code for one in candidates))
    assert steps == sorted(set(steps), reverse=True)


@pytest.mark.parametrize("error", [1e-2, 1e-6, 1e-10])
def test_a_small_budget_is_kept_however_well_the_field_fits(error):
    field = QuinrField(4, 9, 4)
    candidates = rounder(field, error).candidates(0.6, 70)
    assert all(size(field, one) <= 70 for one in candidates)


def test_a_budget_too_small_is_an_error():
    with pytest.raises(TrainingError, match=r"target_bytes: \d+ parameters take \d+ bytes more"):
        rounder(QuinrField(4, 9, 4)).candidates(0.6, 20)


def test_a_budget_larger_than_any_use():
    """An almost perfect fit would ask for steps that no file can hold."""
    field = QuinrField(3, 5, 2)
    candidates = rounder(field, error=0.0).candidates(0.6, 2000)
    assert len(candidates) == 4
    assert all(size(field, one) <= 2000 for one in candidates)


def test_candidates_that_cannot_be_written_are_left_out(monkeypatch):
    one = rounder(QuinrField(3, 5, 2))
    real = one.round

    def some(coarseness, damping):
        if damping < 0.1:
            raise TrainingError("rounding: expected a finite parameter, got inf")
        return real(coarseness, damping)

    monkeypatch.setattr(one, "round", some)
    assert len(one.candidates(0.6, None)) == 2
    assert len(one.candidates(0.6, 100)) == 2
    monkeypatch.setattr(one, "round", lambda *_: some(0.6, 0.0))
    with pytest.raises(TrainingError, match="finite"):
        one.candidates(0.6, None)


@given(st.lists(st.integers(1, 70_000), min_size=1, max_size=600), st.randoms())
def test_digits_of_any_base(bases, random):
    digits = np.array([random.randrange(base) for base in bases])
    packed = pack_digits(digits, np.array(bases))
    assert len(packed) <= sum(np.log2(bases)) / 8 + 1 + len(bases) // 256 + 1
    reader = ByteReader(packed, "preview")
    np.testing.assert_array_equal(unpack_digits(reader, np.array(bases), "symbols"), digits)
    assert not reader.remaining


def test_a_number_beyond_its_last_digit_is_refused():
    with pytest.raises(BitstreamError, match="out of range"):
        unpack_digits(ByteReader(b"\xff", "preview"), np.array([3, 5]), "symbols")
    with pytest.raises(BitstreamError, match="needs 1 bytes"):
        unpack_digits(ByteReader(b"", "preview"), np.array([3, 5]), "symbols")
