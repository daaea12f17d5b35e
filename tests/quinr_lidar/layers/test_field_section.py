from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from quinr_lidar.arrays import to_tensors
from quinr_lidar.errors import BitstreamError, TrainingError
from quinr_lidar.fields import QuinrField, pixel_coordinates
from quinr_lidar.fields.field import parameter_count
from quinr_lidar.layers.field_section import pack_preview, unpack_preview

fields = st.builds(
    QuinrField,
    qubits=st.integers(1, 6),
    features=st.integers(1, 20),
    blocks=st.integers(1, 4),
    entangling_layers=st.integers(1, 3),
    stages=st.integers(1, 2),
    shuffle_seed=st.integers(0, 2**32 - 1),
    w0=st.sampled_from([30.0, 1.0, 12.5]),
)


def parameters_of(field: QuinrField, seed: int = 0):
    return field.initial_parameters(1, torch.Generator().manual_seed(seed))


@settings(max_examples=60, deadline=None)
@given(fields, st.integers(2, 16), st.integers(0, 65535))
def test_round_trip(field, bits, threshold):
    parameters = parameters_of(field)
    payload = pack_preview(field, parameters, bits, threshold / 65535)
    preview = unpack_preview(payload)
    # Only the initialisation uses the frequencies, so files do not keep them.
    assert preview.field == field
    assert (preview.bits, preview.threshold) == (bits, threshold / 65535)
    canonical = field.canonical(parameters)
    for name, tensor in to_tensors(preview.parameters).items():
        difference = (tensor - canonical[name].double()).abs()
        if name in field.periods:
            difference = torch.minimum(difference, 2 * math.pi - difference)
            assert difference.max() <= math.pi / 2**bits * 1.00001
        elif name.startswith("weight"):
            largest = canonical[name].abs().max()
            assert difference.max() <= largest / (2 ** (bits - 1) - 0.5) * 0.55 + 2**-25
        else:
            assert difference.max() <= 2**-11 * canonical[name].abs().max()


def test_writing_what_was_read_changes_nothing():
    field = QuinrField(4, 12, 3)
    payload = pack_preview(field, parameters_of(field), 8, 0.5)
    preview = unpack_preview(payload)
    assert pack_preview(preview.field, preview.parameters, 8, preview.threshold) == payload


def test_size_is_what_the_format_says():
    field = QuinrField(5, 19, 5)
    quantised = parameter_count(field) - 3
    payload = pack_preview(field, parameters_of(field), 8, 0.5)
    assert len(payload) <= 6 + 3 * 2 + 1 + quantised


def test_repetitive_parameters_are_compressed():
    field = QuinrField(5, 19, 5)
    parameters = {name: torch.zeros_like(t) for name, t in parameters_of(field).items()}
    payload = pack_preview(field, parameters, 8, 0.5)
    assert len(payload) < 60
    assert not unpack_preview(payload).parameters["bias0"].any()


def test_a_swollen_zstd_stream_is_refused_without_unpacking_it():
    import zstandard

    field = QuinrField(2, 3, 1)
    parameters = {name: torch.zeros_like(t) for name, t in parameters_of(field).items()}
    stored = pack_preview(field, parameters, 8, 0.5)
    compressor = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters.from_level(
            3, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=0, write_checksum=0
        )
    )
    bomb = bytes((stored[0] | 1,)) + stored[1:6] + compressor.compress(bytes(1 << 28))
    with pytest.raises(BitstreamError, match="got more"):
        unpack_preview(bomb)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "flags"),
        (b"\x80\x00\x01\x01", "no grids"),
        (b"\x20\x01\x01\x01\x00\x00", "grids of their own"),
        (b"\x21\x00\x01\x01\x00\x00", "grids of their own"),
        (b"\x20\x00\x01\x01\x00\x00" + bytes(6) + b"\x08\xff\xff\xff\x7f", "radius"),
        (b"\x20\x00\x01\x01\x00\x00" + bytes(6) + b"\x08\x01\x08\x01\x07", "step byte"),
        (b"\x20\x00\x01\x01\x00\x00" + bytes(6) + b"\x08\x01\x08\x01\x08\x08", "symbols"),
        (
            b"\x20\x00\x01\x01\x00\x00" + bytes(6) + b"\x08\x01\x08\x01\x08\x08" + b"\xff" * 2,
            "range",
        ),
        (b"\x00\x00\x01\x01", "bits"),
        (b"\x00\xf7\x01\x01\x00\x00", "qubits"),
        (b"\x00\x07\x00\x01\x00\x00", "features"),
        (b"\x00\x07\x01\x01\x00\x00", "parameter bytes, got 0"),
        (b"\x01\x07\x01\x01\x00\x00\x08" + bytes(20), "zstd"),
        (b"\x04\x07\x01\x01\x00\x00\x00", "entangling_layers"),
        (b"\x10\x07\x01\x01\x00\x00\x00\x00\x00\x00", "w0"),
        (b"\x60\x00\x05\x01\x01", "unknown kind"),
        (b"\x60\x00\x00\x01\x01\x03\x01", "readout"),
        (b"\x60\x00\x00\x01\x01\x00\x00", "sine_layers"),
        (b"\x60\x00\x01\xff\x07\xff\x01", "parameters"),
        (b"\x60\x00\x02\x01\x01\x01\x00\x7c\x00\x7c", "deviations"),
        (b"\x64\x00\x04\x01\x01\xf1", "stages"),
    ],
)
def test_hostile_payloads_are_refused(payload, reason):
    with pytest.raises(BitstreamError, match=reason) as caught:
        unpack_preview(payload, start=16)
    assert caught.value.section == "preview"
    assert caught.value.offset >= 16


def test_parameters_that_do_not_fit_are_refused():
    field = QuinrField(2, 3, 1)
    parameters = parameters_of(field)
    with pytest.raises(TrainingError, match="output_scale"):
        pack_preview(field, parameters | {"output_scale": torch.tensor([[1e6]])}, 8, 0.5)
    with pytest.raises(TrainingError, match="finite"):
        pack_preview(field, parameters | {"bias0": torch.full((1, 3), math.nan)}, 8, 0.5)


def test_a_controlled_rotation_near_half_a_turn_keeps_its_circuit():
    """Its period is 4 pi: rounding pi - small to -pi would flip signs."""
    field = QuinrField(2, 3, 2)
    parameters = parameters_of(field)
    parameters["controlled0"][:] = math.pi - 1e-3
    coordinates = pixel_coordinates(4, 4, torch.float64)[None]
    written = to_tensors(unpack_preview(pack_preview(field, parameters, 12, 0.5)).parameters)
    assert (written["controlled0"] > 3).all()
    doubles = {name: tensor.double() for name, tensor in parameters.items()}
    torch.testing.assert_close(
        field.evaluate(written, coordinates),
        field.evaluate(doubles, coordinates),
        rtol=0,
        atol=0.02,
    )
