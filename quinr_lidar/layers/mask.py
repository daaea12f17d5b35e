"""Layer 2, the mask: which pixels were measured, exactly.

The digest of the entropy model, then the range coder's bytes. See docs/format.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.byte_io import ByteReader
from quinr_lidar.entropy.models import (
    DIGEST_BYTES,
    EntropyModel,
    ModelShape,
    built_in_models,
    find_model,
)
from quinr_lidar.errors import UnknownEntropyModelError
from quinr_lidar.kernel import instruction_set, load_kernel

NAME = "mask"
MODEL = ModelShape(inputs=29, outputs=1)
"""29 numbers of a pixel's surroundings to the logit of its being valid."""


def pack_mask(mask: NDArray[np.bool_], entropy_model: EntropyModel) -> bytes:
    """Write the section.

    Args:
        mask: [H, W], true where measured.
        entropy_model: Whose mask field codes it.
    """
    pixels = np.ascontiguousarray(mask, np.uint8)
    coded = load_kernel().encode_mask(_field(entropy_model), pixels, isa=instruction_set())
    return entropy_model.digest + coded


def _field(entropy_model: EntropyModel) -> Any:
    return entropy_model.layer(NAME, MODEL).strict


def model_name(payload: bytes, start: int = 0) -> str:
    """Name of the entropy model that a mask section is coded with.

    Raises:
        BitstreamError: the section is too short.
    """
    return ByteReader(payload, "mask", start).take(DIGEST_BYTES, "entropy_model").hex()


def read_model(payload: bytes, start: int = 0, others: Iterable[EntropyModel] = ()) -> EntropyModel:
    """The entropy model that a mask section, and the ranges behind it, are coded with.

    Raises:
        BitstreamError: the section is too short.
        UnknownPriorError: the entropy model is neither built in nor among the others.
    """
    reader = ByteReader(payload, "mask", start)
    digest = reader.take(DIGEST_BYTES, "entropy_model")
    entropy_model = find_model(digest, others)
    if entropy_model is None:
        known = ", ".join(f"{one.name} ({name})" for name, one in built_in_models().items())
        raise UnknownEntropyModelError(start, digest.hex(), known)
    return entropy_model


def unpack_mask(
    payload: bytes, size: tuple[int, int], entropy_model: EntropyModel, start: int = 0
) -> NDArray[np.bool_]:
    """Read the section: bool [H, W].

    Args:
        payload: The section's bytes.
        size: (H, W) in pixels.
        entropy_model: As :func:`read_model` gives it.
        start: The section's offset in the file, for error messages.

    Raises:
        BitstreamError: the bytes end before the mask does.
    """
    reader = ByteReader(payload, "mask", start)
    reader.take(DIGEST_BYTES, "entropy_model")
    mask = np.zeros(size, np.uint8)
    coded = payload[DIGEST_BYTES:]
    if not load_kernel().decode_mask(_field(entropy_model), coded, mask, isa=instruction_set()):
        raise reader.error("the coded pixels end too early")
    return mask.astype(bool)
