"""Layer 2, the mask: which pixels were measured, exactly.

The digest of the prior, then the range coder's bytes. See docs/format.md.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.byte_io import ByteReader
from quinr_lidar.circuit.native import instruction_set, load_kernel
from quinr_lidar.entropy.models import DIGEST_BYTES, Prior, built_in_priors, find_prior
from quinr_lidar.errors import UnknownPriorError


def pack_mask(mask: NDArray[np.bool_], prior: Prior) -> bytes:
    """Write the section.

    Args:
        mask: [H, W], true where measured.
        prior: Whose mask field codes it.
    """
    pixels = np.ascontiguousarray(mask, np.uint8)
    coded = load_kernel().encode_mask(prior.mask.strict, pixels, isa=instruction_set())
    return prior.digest + coded


def prior_name(payload: bytes, start: int = 0) -> str:
    """Name of the prior that a mask section is coded with.

    Raises:
        BitstreamError: the section is too short.
    """
    return ByteReader(payload, "mask", start).take(DIGEST_BYTES, "prior").hex()


def read_prior(payload: bytes, start: int = 0, others: Iterable[Prior] = ()) -> Prior:
    """The prior that a mask section, and the ranges behind it, are coded with.

    Raises:
        BitstreamError: the section is too short.
        UnknownPriorError: the prior is neither built in nor among the others.
    """
    reader = ByteReader(payload, "mask", start)
    digest = reader.take(DIGEST_BYTES, "prior")
    prior = find_prior(digest, others)
    if prior is None:
        known = ", ".join(f"{one.name} ({name})" for name, one in built_in_priors().items())
        raise UnknownPriorError(start, digest.hex(), known)
    return prior


def unpack_mask(
    payload: bytes, size: tuple[int, int], prior: Prior, start: int = 0
) -> NDArray[np.bool_]:
    """Read the section: bool [H, W].

    Args:
        payload: The section's bytes.
        size: (H, W) in pixels.
        prior: As :func:`read_prior` gives it.
        start: The section's offset in the file, for error messages.

    Raises:
        BitstreamError: the bytes end before the mask does.
    """
    reader = ByteReader(payload, "mask", start)
    reader.take(DIGEST_BYTES, "prior")
    mask = np.zeros(size, np.uint8)
    coded = payload[DIGEST_BYTES:]
    if not load_kernel().decode_mask(prior.mask.strict, coded, mask, isa=instruction_set()):
        raise reader.error("the coded pixels end too early")
    return mask.astype(bool)
