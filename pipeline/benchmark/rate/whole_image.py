"""The paper's metric at equal bytes: a field of the whole image, or of points with a mask apart.

Both files are as large as asked for, mask included, so that they compare with JPEG 2000 at the
same bits a pixel.
"""

from __future__ import annotations

import math

from pipeline.benchmark.rate.baselines import Baseline, Decoded, Encoded, Known
from pipeline.benchmark.rate.ours import library_version
from pipeline.benchmark.rate.training_sets import ENTROPY_MODEL
from quinr_lidar import RangeImage, codec
from quinr_lidar.codec.profiles import PROFILES, Profile, get_profile
from quinr_lidar.container import Header, Section, pack
from quinr_lidar.entropy.models import choose_model
from quinr_lidar.errors import GeometryError
from quinr_lidar.layers.layer import Source
from quinr_lidar.layers.mask import MASK

RATES = (0.2,)
"""Bits a pixel: a mask alone takes 0.12 or so, and more bytes are trained for minutes."""
PRESETS, PREVIEW = "paper-", "preview"
RESTARTS = 2
LEAST_BYTES = 64


def preset_for(size: int) -> Profile:
    """The paper's preset whose size is the nearest, in logarithms, set to this one.

    Args:
        size: Of a file without further layers, bytes.
    """
    presets = [one for name, one in PROFILES.items() if name.startswith(PRESETS)]
    nearest = min(presets, key=lambda one: abs(math.log(size / (one.target_bytes or 1))))
    return nearest.with_overrides(target_bytes=size)


def _encode_paper(image: RangeImage, bpp: float) -> Encoded:
    profile = preset_for(_budget(image, bpp))
    return Encoded.of(codec.encode(image, profile))


def _encode_preview(image: RangeImage, bpp: float) -> Encoded:
    # The budget of a profile is of the preview: the mask has to be taken off it.
    header = Header(image.projection, image.no_return)
    mask = Section("mask", MASK.pack(Source(image, choose_model(ENTROPY_MODEL))))
    preview = Section("preview", b"")
    further = len(pack(header, [preview, mask])) - len(pack(header, [preview]))
    size = _budget(image, bpp) - further
    if size < LEAST_BYTES:
        raise GeometryError(f"{bpp:g} bits a pixel: the mask takes all but {size} bytes")
    # Trainings of deep fields stall on some scans: the smaller field then is the better one.
    profiles = (preset_for(size), get_profile(PREVIEW))
    frames = [
        codec.encode_frame(
            image, one, layers=("preview", "mask"), target_bytes=size, restarts=RESTARTS
        )
        for one in profiles
    ]
    data = max(frames, key=lambda frame: frame.psnr).data
    return Encoded.of(data, parts=dict(codec.inspect(data).sections))


def _budget(image: RangeImage, bpp: float) -> int:
    return int(bpp * image.ranges.size / 8)


def _decode_whole(data: bytes, known: Known) -> Decoded:  # noqa: ARG001
    return Decoded(codec.decode(data).ranges)


def _decode_points(data: bytes, known: Known) -> Decoded:  # noqa: ARG001
    image = codec.decode(data)
    return Decoded(image.ranges, image.valid)


WHOLE_IMAGE = (
    Baseline(
        "quinr-paper",
        "quINR, whole image as in the paper",
        "rate",
        {"": _encode_paper},
        _decode_whole,
        library_version,
        settings=RATES,
        optional=True,
    ),
    Baseline(
        "quinr-preview",
        "quINR, preview and mask",
        "rate",
        {"": _encode_preview},
        _decode_points,
        library_version,
        settings=RATES,
        optional=True,
    ),
)
"""Profiles of one and of two layers."""
