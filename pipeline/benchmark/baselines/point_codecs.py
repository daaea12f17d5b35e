"""Point cloud codecs on the points at the pixels' centres, in row-major pixel order.

Points are put on a grid whose cells keep each of them within the largest error; the codec then
keeps the grid's integers without loss.
"""

from __future__ import annotations

import io
import math
from functools import partial

import DracoPy
import laspy
import numpy as np
from numpy.typing import NDArray

from pipeline.benchmark.baseline import Baseline, Decoded, Encode, Encoded, Known, Request, packages
from pipeline.benchmark.baselines.lossless_codecs import compress_planes, decompress_planes
from quinr_lidar import RangeImage
from quinr_lidar.errors import GeometryError

DRACO_LEVELS = (5, 10)
DRACO_BITS = 20
"""Bits of a coordinate: float32, which Draco takes, then leaves fractions of a sixteenth."""
LAS_FORMATS = {0: "1.2", 6: "1.4"}
"""Point formats with the fewest other fields, and the version of LAS that has them."""


def point_step(max_error: float) -> float:
    """The step of coordinates that keeps a point within the largest error, metres.

    Half a step in each of three coordinates is the largest error; coordinates are decoded in
    float64, whose rounding the last factor covers.
    """
    return 2 * max_error / math.sqrt(3) * (1 - 1e-9)


def _grid_points(image: RangeImage, max_error: float) -> NDArray[np.float64]:
    """Points [N, 3] in units of the grid."""
    return image.projection.back_project(image).astype(np.float64) / point_step(max_error)


def _encode_draco(level: int, image: RangeImage, request: Request) -> Encoded:
    points = _grid_points(image, request.setting)
    cells = np.rint(points)
    origin = cells.min(axis=0)
    bits = max(1, int((cells.max(axis=0) - origin).max()).bit_length())
    if max(bits, int(np.abs(cells).max()).bit_length()) > DRACO_BITS:
        raise GeometryError(
            f"bound {request.setting:g} m: expected {DRACO_BITS} bits a coordinate at most, as "
            f"Draco takes float32, got {bits}"
        )
    data = DracoPy.encode(
        # Draco drops equal points, so those of a cell stay apart; half way to its centre no
        # rounding of float32 moves one to another cell.
        ((points + cells) / 2).astype(np.float32),
        quantization_bits=bits,
        compression_level=level,
        # A range of as many units as the bits have steps: Draco's grid is ours.
        quantization_range=2**bits - 1,
        quantization_origin=origin,
    )
    return Encoded.of(bytes(data), order=np.lexsort(cells.T))


def _decode_draco(data: bytes, known: Known) -> Decoded:
    """Draco changes the order of the points; sorting them here tells which is which."""
    cells = np.rint(np.asarray(DracoPy.decode(data).points, np.float64))
    return Decoded(points=cells[np.lexsort(cells.T)] * point_step(known.request.setting))


def _encode_laszip(point_format: int, image: RangeImage, request: Request) -> Encoded:
    cells = np.rint(_grid_points(image, request.setting))
    if np.abs(cells).max() > np.iinfo(np.int32).max:
        raise GeometryError(f"bound {request.setting:g} m: LAS takes 32 bits a coordinate")
    header = laspy.LasHeader(point_format=point_format, version=LAS_FORMATS[point_format])
    header.scales, header.offsets = np.full(3, point_step(request.setting)), np.zeros(3)
    scan = laspy.LasData(header)
    for name, column in zip("XYZ", cells.T, strict=True):
        scan[name] = column.astype(np.int32)
    file = io.BytesIO()
    scan.write(file, do_compress=True, laz_backend=laspy.LazBackend.Lazrs)
    return Encoded.of(file.getvalue())


def _decode_laszip(data: bytes, _known: Known) -> Decoded:
    scan = laspy.read(io.BytesIO(data), laz_backend=laspy.LazBackend.Lazrs)
    return Decoded(points=np.asarray(scan.xyz, np.float64))


def _encode_raw(image: RangeImage, _request: Request) -> Encoded:
    return Encoded.of(compress_planes(image.projection.back_project(image).astype("<f4")))


def _decode_raw(data: bytes, _known: Known) -> Decoded:
    return Decoded(points=decompress_planes(data, "3<f4"))


_DRACO: dict[str, Encode] = {f"level {one}": partial(_encode_draco, one) for one in DRACO_LEVELS}
_LASZIP: dict[str, Encode] = {
    f"point format {one}": partial(_encode_laszip, one) for one in LAS_FORMATS
}

POINT_CODECS = (
    Baseline("draco", "Draco", "max_error", _DRACO, _decode_draco, packages("DracoPy")),
    Baseline("laszip", "LASzip", "max_error", _LASZIP, _decode_laszip, packages("laspy", "lazrs")),
    Baseline(
        "zstd-points",
        "zstd, level 19, float32 points, byte planes",
        "lossless",
        {"": _encode_raw},
        _decode_raw,
        packages("zstandard"),
    ),
)
"""Those that code points [N, 3]."""
