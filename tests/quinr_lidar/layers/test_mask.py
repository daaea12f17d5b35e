"""The mask layer: exact for every mask, whatever the prior expects."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from quinr_lidar.circuit.native import instruction_sets
from quinr_lidar.entropy.models import Prior, built_in_priors, pack_prior
from quinr_lidar.entropy.samples import MASK_INPUTS
from quinr_lidar.errors import BitstreamError, UnknownPriorError
from quinr_lidar.fields.conditional import ConditionalField
from quinr_lidar.layers.mask import pack_mask, prior_name, read_prior, unpack_mask

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
def test_round_trip(small_prior, mask):
    for prior in (small_prior, built_in_priors()["hdl64"]):
        data = pack_mask(mask, prior)
        decoded = unpack_mask(data, mask.shape, prior)
        assert decoded.dtype == np.bool_
        np.testing.assert_array_equal(decoded, mask)
        assert len(data) <= 40 + mask.size / 4  # at worst little more than a bit a pixel


def expecting(logit: float, small_prior: Prior) -> Prior:
    """A prior that expects the same of every pixel."""
    field = ConditionalField(MASK_INPUTS, 1, (1,), 1, 1)
    parameters = {name: torch.zeros(shape) for name, shape in field.shapes.items()}
    parameters["offset"] += logit
    ranges = small_prior.ranges
    return pack_prior((field, parameters), (ranges.field, ranges.parameters))


@pytest.mark.parametrize("logit", [-50.0, -12.0, -3.0, 12.0, 50.0])
@pytest.mark.parametrize("kind", KINDS)
def test_expecting_the_opposite_costs_bytes_and_nothing_else(small_prior, kind, logit):
    """A long row of ones is coded as zeros, which an encoder must not all leave out."""
    prior = expecting(logit, small_prior)
    for shape in ((64, 1024), (3, 7)):
        mask = mask_of(kind, *shape)
        data = pack_mask(mask, prior)
        np.testing.assert_array_equal(unpack_mask(data, shape, prior), mask)


@pytest.mark.parametrize("kind", ["all", "none"])
def test_a_file_adapts_to_what_no_prior_expects(small_prior, kind):
    mask = mask_of(kind, 64, 1024)
    for logit in (-6, 6):
        assert len(pack_mask(mask, expecting(logit, small_prior))) < 100


@pytest.mark.parametrize("kind", KINDS)
def test_every_instruction_set_writes_and_reads_the_same(small_prior, kind, monkeypatch):
    mask = mask_of(kind, 23, 61, 5)
    written = {}
    for isa in instruction_sets():
        monkeypatch.setenv("QUINR_ISA", isa)
        written[isa] = pack_mask(mask, small_prior)
    assert len(set(written.values())) == 1
    for isa in instruction_sets():
        monkeypatch.setenv("QUINR_ISA", isa)
        np.testing.assert_array_equal(unpack_mask(written[isa], mask.shape, small_prior), mask)


def test_the_section_names_its_prior(small_prior):
    payload = pack_mask(mask_of("noise", 8, 8), small_prior)
    assert payload[:8] == small_prior.digest
    assert prior_name(payload) == small_prior.name
    assert read_prior(payload, others=[small_prior]) is small_prior
    built_in = built_in_priors()["hdl64"]
    assert read_prior(built_in.digest) is built_in
    with pytest.raises(UnknownPriorError, match=f"with the prior {small_prior.name}") as found:
        read_prior(payload, start=77)
    assert found.value.prior == small_prior.name
    assert (found.value.section, found.value.offset) == ("mask", 77)
    assert f"{built_in.name} (hdl64)" in str(found.value)


def test_a_section_that_is_too_short_is_refused(small_prior):
    with pytest.raises(BitstreamError, match="prior needs 8 bytes, 7 are left"):
        read_prior(small_prior.digest[:7])
    noise = mask_of("noise", 64, 128, 3)
    payload = pack_mask(noise, small_prior)
    for size in (8, 9, len(payload) // 2, len(payload) - 200):
        with pytest.raises(BitstreamError, match="coded pixels end too early") as caught:
            unpack_mask(payload[:size], noise.shape, small_prior, start=50)
        assert caught.value.section == "mask"


@given(st.binary(max_size=200), st.integers(1, 40), st.integers(1, 40))
@settings(deadline=None)
def test_any_bytes_are_a_mask_or_refused(small_prior, data, height, width):
    try:
        mask = unpack_mask(small_prior.digest + data, (height, width), small_prior)
    except BitstreamError:
        return
    assert mask.shape == (height, width)
