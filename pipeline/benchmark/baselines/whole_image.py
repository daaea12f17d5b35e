"""The paper's metric at equal bytes: a field of the whole image, or of points with a mask apart.

Both files are as large as asked for, mask included, so that they compare with JPEG 2000 files of
the same size.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from pipeline.benchmark.baseline import Baseline, Decoded, Encoded, Known, Request
from pipeline.benchmark.baselines.bounded import decode_scan, library_version
from pipeline.benchmark.training_sets import ENTROPY_MODEL
from quinr_lidar import RangeImage, codec
from quinr_lidar.codec.profiles import PROFILES, Profile, get_profile
from quinr_lidar.container import Header, Section, pack
from quinr_lidar.entropy.models import choose_model
from quinr_lidar.errors import GeometryError
from quinr_lidar.layers.layer import Source
from quinr_lidar.layers.mask import MASK

SIZES = (1638,)
"""0.2 bits a pixel: a mask alone takes 0.12 or so, and more bytes are trained for minutes."""
PRESETS, PREVIEW = "paper-", "preview"
RESTARTS = 2
LEAST_BYTES = 64


def preset_for(size: int) -> Profile:
    """The paper's preset whose size is the nearest, in logarithms, set to this one.

    Args:
        size: Bytes of a file without further layers.
    """
    presets = [one for name, one in PROFILES.items() if name.startswith(PRESETS)]
    nearest = min(presets, key=lambda one: abs(math.log(size / (one.target_bytes or 1))))
    return nearest.with_overrides(target_bytes=size)


def _encode_paper(image: RangeImage, request: Request) -> Encoded:
    profile = preset_for(int(request.setting))
    return Encoded.of(codec.encode(image, profile, steps=request.steps(profile.steps)))


def _encode_preview(image: RangeImage, request: Request) -> Encoded:
    # The budget of a profile is that of the preview: the mask has to be taken off it.
    header = Header(image.projection, image.no_return)
    mask = Section("mask", MASK.pack(Source(image, choose_model(ENTROPY_MODEL))))
    preview = Section("preview", b"")
    further = len(pack(header, [preview, mask])) - len(pack(header, [preview]))
    size = int(request.setting) - further
    if size < LEAST_BYTES:
        raise GeometryError(f"{request.setting:g} bytes: the mask takes all but {size} of them")
    # Trainings of deep fields stall on some scans: the smaller field then is the better one.
    options: dict[str, Any] = {"target_bytes": size, "restarts": RESTARTS}
    options["layers"] = ("preview", "mask")
    frames = [
        codec.encode_frame(image, one, steps=request.steps(one.steps), **options)
        for one in (preset_for(size), get_profile(PREVIEW))
    ]
    data = max(frames, key=lambda frame: frame.psnr).data
    return Encoded.of(data, parts=dict(codec.inspect(data).sections))


def _decode_whole(data: bytes, _known: Known) -> Decoded:
    # Every pixel holds the field's value.
    image = codec.decode(data)
    return Decoded(values=image.ranges[..., None] / image.no_return)


PAPER = Baseline(
    "quinr-paper",
    "quINR, whole image as in the paper",
    "size",
    {"": _encode_paper},
    _decode_whole,
    library_version,
    settings=SIZES,
    optional=True,
)
WHOLE_IMAGE = (
    PAPER,
    replace(
        PAPER,
        name="quinr-preview",
        title="quINR, preview and mask",
        ways={"": _encode_preview},
        decode=decode_scan,
    ),
)
"""Profiles of one and of two layers."""
