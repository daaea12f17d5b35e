"""The mask layer: exact for every mask, whatever the entropy model expects."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from quinr_lidar.entropy.models import EntropyModel, built_in_models, pack_model
from quinr_lidar.errors import BitstreamError, UnknownEntropyModelError
from quinr_lidar.kernel import instruction_sets
from quinr_lidar.layers.mask import MASK, NAME, model_name, model_shape
from tests.support.layers import draft_of, pack_mask, unpack_mask

Mask = NDArray[np.bool_]
KINDS = ("noise", "all", "none", "one", "checkers", "rows", "columns")


def mask_of(kind: str, height: int, width: int, seed: int = 0) -> Mask:
    v, u = np.indices((height, width))
    if kind == "noise":
        random = np.random.default_rng(seed)
        return random.random((height, width)) < random.random()
    if kind == "one":
        return (v == seed % height) & (u == seed % width)
    return {
        "all": v >= 0,
        "none": v < 0,
        "checkers": (v + u) % 2 == 0,
        "rows": v % 3 == seed % 3,
        "columns": u % 5 == seed % 5,
    }[kind]


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    longest = draw(st.sampled_from(((12, 40), (1, 300), (150, 1), (40, 12))))
    height, width = (draw(st.integers(1, most)) for most in longest)
    return mask_of(draw(st.sampled_from(KINDS)), height, width, draw(st.integers(0, 2**32)))


@given(masks())
@settings(deadline=None)
def test_round_trip(small_model, mask):
    for entropy_model in (small_model, built_in_models()["hdl64"]):
        data = pack_mask(mask, entropy_model)
        decoded = unpack_mask(data, mask.shape, entropy_model)
        assert decoded.dtype == np.bool_
        np.testing.assert_array_equal(decoded, mask)
        assert len(data) <= 40 + mask.size / 4  # at worst little more than a bit a pixel


def expecting(logit: float, small_model: EntropyModel) -> EntropyModel:
    """An entropy model that expects the same of every pixel."""
    field = model_shape().field((1,), 1, 1)
    parameters = {name: torch.zeros(shape) for name, shape in field.shapes.items()}
    parameters["offset"] += logit
    return pack_model({NAME: (field, parameters)})


@pytest.mark.parametrize("logit", [-50.0, -12.0, -3.0, 12.0, 50.0])
@pytest.mark.parametrize("kind", KINDS)
def test_expecting_the_opposite_costs_bytes_and_nothing_else(small_model, kind, logit):
    """A long row of ones is coded as zeros, which an encoder must not all leave out."""
    entropy_model = expecting(logit, small_model)
    for shape in ((64, 1024), (3, 7)):
        mask = mask_of(kind, *shape)
        data = pack_mask(mask, entropy_model)
        np.testing.assert_array_equal(unpack_mask(data, shape, entropy_model), mask)


@pytest.mark.parametrize("kind", ["all", "none"])
def test_a_file_adapts_to_what_no_model_expects(small_model, kind):
    mask = mask_of(kind, 64, 1024)
    for logit in (-6, 6):
        assert len(pack_mask(mask, expecting(logit, small_model))) < 100


@pytest.mark.parametrize("kind", KINDS)
def test_every_instruction_set_writes_and_reads_the_same(small_model, kind, monkeypatch):
    mask = mask_of(kind, 23, 61, 5)
    written = {}
    for isa in instruction_sets():
        monkeypatch.setenv("QUINR_ISA", isa)
        written[isa] = pack_mask(mask, small_model)
    assert len(set(written.values())) == 1
    for isa in instruction_sets():
        monkeypatch.setenv("QUINR_ISA", isa)
        np.testing.assert_array_equal(unpack_mask(written[isa], mask.shape, small_model), mask)


def test_the_section_names_its_entropy_model(small_model):
    payload = pack_mask(mask_of("noise", 8, 8), small_model)
    assert payload[:8] == small_model.digest
    assert model_name(payload) == small_model.name
    assert MASK.describe(payload, 0, draft_of((8, 8))) == {"entropy_model": small_model.name}
    draft = draft_of((8, 8), small_model)
    MASK.unpack(payload, 0, draft)
    assert draft.entropy_model is small_model
    built_in = built_in_models()["hdl64"]
    noise = mask_of("noise", 8, 8)
    MASK.unpack(pack_mask(noise, built_in), 0, draft := draft_of((8, 8)))
    assert draft.entropy_model is built_in
    with pytest.raises(
        UnknownEntropyModelError, match=f"with the entropy model {small_model.name}"
    ) as found:
        MASK.unpack(payload, 77, draft_of((8, 8)))
    assert found.value.entropy_model == small_model.name
    assert (found.value.section, found.value.offset) == ("mask", 77)
    assert f"{built_in.name} (hdl64)" in str(found.value)


def test_a_section_that_is_too_short_is_refused(small_model):
    with pytest.raises(BitstreamError, match="entropy_model needs 8 bytes, 7 are left"):
        MASK.unpack(small_model.digest[:7], 0, draft_of((8, 8), small_model))
    noise = mask_of("noise", 64, 128, 3)
    payload = pack_mask(noise, small_model)
    for size in (8, 9, len(payload) // 2, len(payload) - 200):
        with pytest.raises(BitstreamError, match="coded pixels end too early") as caught:
            unpack_mask(payload[:size], noise.shape, small_model, start=50)
        assert caught.value.section == "mask"


@given(st.binary(max_size=200), st.integers(1, 40), st.integers(1, 40))
@settings(deadline=None)
def test_any_bytes_are_a_mask_or_refused(small_model, data, height, width):
    try:
        mask = unpack_mask(small_model.digest + data, (height, width), small_model)
    except BitstreamError:
        return
    assert mask.shape == (height, width)
