"""Every kind of field is written and read, whole sections included."""

from __future__ import annotations

from functools import partial

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from quinr_lidar.arrays import to_tensors
from quinr_lidar.byte_io import ByteReader
from quinr_lidar.fields import FourierField, QirenField, QuinrField, SirenField, pixel_coordinates
from quinr_lidar.fields.field import flatten, unflatten
from quinr_lidar.layers.field_section import pack_preview, pack_rounded_preview, unpack_preview
from quinr_lidar.layers.field_sizes import GRIDS, kind_of, pack_field, unpack_field
from quinr_lidar.quantization.rate_control import Rounder
from quinr_lidar.training.gauss_newton import image_matrix

sizes = st.integers(1, 6)
fields = st.one_of(
    st.builds(QuinrField, st.just(3), sizes, sizes, outputs=sizes, readout=st.integers(1, 8)),
    st.builds(QuinrField, st.just(2), sizes, sizes, outputs=st.integers(1, 4)),
    st.builds(QuinrField, st.just(2), sizes, sizes, sine_layers=st.integers(1, 15)),
    st.builds(SirenField, sizes, sizes, outputs=sizes, w0=st.sampled_from([30.0, 8.5])),
    st.builds(
        FourierField,
        sizes,
        sizes,
        sizes,
        st.sampled_from(["relu", "tanh"]),
        outputs=sizes,
        deviations=st.sampled_from([(0.5, 0.25), (2.0, 1.0)]),
        seed=st.sampled_from([0, 7, 2**32 - 1]),
    ),
    st.builds(
        QirenField, st.integers(1, 4), sizes, st.integers(1, 3), st.integers(1, 2), outputs=sizes
    ),
)


@settings(max_examples=60, deadline=None)
@given(fields, st.integers(1, 16))
def test_sizes_are_read_as_written(field, bits):
    reader = ByteReader(pack_field(field, GRIDS, bits), "preview")
    assert unpack_field(reader) == (field, GRIDS, bits)
    assert reader.remaining == 0


@settings(max_examples=40, deadline=None)
@given(fields, st.booleans())
def test_parameters_are_read_as_written(field, masked):
    parameters = field.initial_parameters(1, torch.Generator().manual_seed(0))
    threshold = 0.2 if masked else None  # 13107 / 65535
    uniform = unpack_preview(pack_preview(field, parameters, 12, threshold), masked=masked)
    assert uniform.field == field
    assert uniform.threshold == threshold
    coordinates = pixel_coordinates(6, 8)
    matrix = image_matrix(field, parameters, coordinates, 0)
    pack = partial(pack_rounded_preview, field, threshold=threshold)
    rounded = Rounder(field, parameters, matrix, 1e-3, pack=pack).round(0.5, 1e-2)
    payload = pack(rounded.values, rounded.classes)
    found = unpack_preview(payload, masked=masked).parameters
    values = unflatten(field, torch.from_numpy(rounded.values).float()[None])
    expected = field.evaluate(values, coordinates[None])
    single = to_tensors(found, torch.float32)
    # All but the scalars' last bits.
    scale = flatten(field, single).abs().max()
    torch.testing.assert_close(
        field.evaluate(single, coordinates[None]), expected, rtol=5e-3, atol=5e-3 * float(scale)
    )


def test_a_plain_quinr_is_written_without_a_kind():
    assert pack_field(QuinrField(5, 19, 5), GRIDS, 1) == bytes((32, 64, 19, 5))


def test_kinds_have_names():
    made = [SirenField(2, 1), FourierField(2, 2), QirenField(2, 1), QuinrField(2, 2, 1)]
    assert [kind_of(field) for field in made] == ["siren", "fourier-relu", "qiren", "quinr"]
