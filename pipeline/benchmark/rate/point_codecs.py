"""Point cloud codecs on the points re-created at the pixels' centres, in row-major pixel order.

Points are put on a grid whose cells keep every one within the bound; the codec then keeps the
grid's integers without loss.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from importlib.metadata import version

import DracoPy
import laspy
import numpy as np
import zstandard
from numpy.typing import NDArray

from pipeline.benchmark.rate.baselines import Baseline, Decoded, Encode, Encoded, Known
from pipeline.benchmark.rate.image_codecs import ZSTD_LEVEL
from pipeline.benchmark.rate.quantiser import point_step
from quinr_lidar import RangeImage
from quinr_lidar.errors import GeometryError

DRACO_LEVELS = (5, 10)
DRACO_BITS = 20
"""Of a coordinate: float32, which Draco takes, then leaves fractions of a sixteenth."""

LAS_FORMATS = {0: "1.2", 6: "1.4"}
"""Point formats with the version of LAS that has them; those of fewest other fields."""


def _grid_points(image: RangeImage, max_error: float) -> NDArray[np.float64]:
    """Points [N, 3] in units of the grid."""
    return image.projection.back_project(image).astype(np.float64) / point_step(max_error)


def _encode_draco(image: RangeImage, max_error: float, *, level: int) -> Encoded:
    points = _grid_points(image, max_error)
    cells = np.rint(points)
    origin = cells.min(axis=0)
    bits = max(1, int((cells.max(axis=0) - origin).max()).bit_length())
    if max(bits, int(np.abs(cells).max()).bit_length()) > DRACO_BITS:
        raise GeometryError(
            f"bound {max_error:g} m: expected {DRACO_BITS} bits a coordinate at most, as Draco "
            f"takes float32, got {bits}"
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
    return Encoded.of(bytes(data), order=_lexical_order(cells))


def _decode_draco(data: bytes, known: Known) -> Decoded:
    """Draco orders points by its tree; here they are sorted, so that one can say which is which."""
    cells = np.rint(np.asarray(DracoPy.decode(data).points, np.float64))
    return Decoded(points=cells[_lexical_order(cells)] * point_step(known.setting))


def _lexical_order(cells: NDArray[np.float64]) -> NDArray[np.intp]:
    return np.lexsort(cells.T)


def _encode_laszip(image: RangeImage, max_error: float, *, point_format: int) -> Encoded:
    cells = np.rint(_grid_points(image, max_error))
    if np.abs(cells).max() > np.iinfo(np.int32).max:
        raise GeometryError(f"bound {max_error:g} m: LAS takes 32 bits a coordinate")
    header = laspy.LasHeader(point_format=point_format, version=LAS_FORMATS[point_format])
    header.scales = np.full(3, point_step(max_error))
    header.offsets = np.zeros(3)
    scan = laspy.LasData(header)
    for name, column in zip("XYZ", cells.T, strict=True):
        scan[name] = column.astype(np.int32)
    file = io.BytesIO()
    scan.write(file, do_compress=True, laz_backend=laspy.LazBackend.Lazrs)
    return Encoded.of(file.getvalue())


def _decode_laszip(data: bytes, known: Known) -> Decoded:  # noqa: ARG001 (the file has its scale)
    scan = laspy.read(io.BytesIO(data), laz_backend=laspy.LazBackend.Lazrs)
    return Decoded(points=np.asarray(scan.xyz, np.float64))


def _encode_raw(image: RangeImage, _setting: float) -> Encoded:
    """Every byte of float32 coordinates is a plane: a quarter smaller than as they come."""
    points = image.projection.back_project(image).astype("<f4")
    planes = points.view(np.uint8).reshape(len(points), -1).T
    return Encoded.of(zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(planes.tobytes()))


def _decode_raw(data: bytes, known: Known) -> Decoded:  # noqa: ARG001 (nothing was quantised)
    planes = np.frombuffer(zstandard.ZstdDecompressor().decompress(data), np.uint8)
    return Decoded(points=np.ascontiguousarray(planes.reshape(12, -1).T).view("<f4"))


def _versions(*packages: str) -> Callable[[], str]:
    return lambda: " ".join(version(package) for package in packages)


_DRACO: dict[str, Encode] = {
    f"level {level}": partial(_encode_draco, level=level) for level in DRACO_LEVELS
}
_LASZIP: dict[str, Encode] = {
    f"point format {kind}": partial(_encode_laszip, point_format=kind) for kind in LAS_FORMATS
}

POINT_CODECS = (
    Baseline("draco", "Draco", "max_error", _DRACO, _decode_draco, _versions("DracoPy")),
    Baseline("laszip", "LASzip", "max_error", _LASZIP, _decode_laszip, _versions("laspy", "lazrs")),
    Baseline(
        "zstd-points",
        "zstd, level 19, float32 points, byte planes",
        "lossless",
        {"": _encode_raw},
        _decode_raw,
        _versions("zstandard"),
    ),
)
"""Those that code points [N, 3]."""
