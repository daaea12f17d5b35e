"""Layer 2, the mask: which pixels were measured, exactly.

The section is the digest of the entropy model, with which the mask and the layers behind it are
coded, then the range coder's bytes. See docs/format.md.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.byte_io import ByteReader
from quinr_lidar.entropy.layer_models import ModelShape
from quinr_lidar.entropy.models import (
    DIGEST_BYTES,
    EntropyModel,
    built_in_models,
    find_model,
)
from quinr_lidar.errors import UnknownEntropyModelError
from quinr_lidar.geometry import SphericalProjection
from quinr_lidar.kernel import format_constants, instruction_set, load_kernel
from quinr_lidar.layers.layer import Draft, Source

NAME = "mask"


@cache
def model_shape() -> ModelShape:
    """What the layer asks of its model: a pixel's surroundings to the logit of its being valid."""
    constants = format_constants()
    return ModelShape(constants.mask_inputs, constants.mask_outputs)


class MaskLayer:
    """The mask, see :class:`quinr_lidar.layers.layer.Layer`."""

    name = NAME
    number = 2
    needs = ()
    gives = ("valid",)
    any_grid = True
    settings = ("entropy_model",)
    promise = "The valid pixels are exactly those that were measured."

    def pack(self, source: Source) -> bytes:
        """Write the section.

        Raises:
            EntropyModelError: there is no entropy model, or none for masks.
        """
        model = source.model()
        pixels = np.ascontiguousarray(source.image.valid, np.uint8)
        coded = load_kernel().encode_mask(_field(model), pixels, isa=instruction_set())
        return model.digest + coded

    def unpack(self, payload: bytes, start: int, draft: Draft) -> None:
        """Read the section; on another grid each pixel takes the value of the nearest one.

        Raises:
            BitstreamError: the bytes end before the mask does.
            EntropyModelError: the file's entropy model does not code masks.
            UnknownEntropyModelError: the file's entropy model is not at hand.
        """
        reader = ByteReader(payload, NAME, start)
        model = _find(reader, draft.entropy_models)
        mask = np.zeros(draft.shape, np.uint8)
        coded = payload[reader.position :]
        if not load_kernel().decode_mask(_field(model), coded, mask, isa=instruction_set()):
            raise reader.error("the coded pixels end too early")
        draft.entropy_model, draft.guessed, draft.keeps_values = model, False, False
        draft.valid = _resampled(mask.astype(bool), draft.grid)

    def describe(self, payload: bytes, start: int, draft: Draft) -> dict[str, Any]:  # noqa: ARG002
        """Name of the entropy model that the file was coded with.

        Raises:
            BitstreamError: the section is too short.
        """
        return {"entropy_model": model_name(payload, start)}


def model_name(payload: bytes, start: int = 0) -> str:
    """Name of the entropy model that a mask section was coded with.

    Raises:
        BitstreamError: the section is too short.
    """
    return _digest(ByteReader(payload, NAME, start)).hex()


def _field(entropy_model: EntropyModel) -> Any:
    return entropy_model.layer(NAME, model_shape()).strict


def _digest(reader: ByteReader) -> bytes:
    return reader.take(DIGEST_BYTES, "entropy_model")


def _find(reader: ByteReader, others: tuple[EntropyModel, ...]) -> EntropyModel:
    digest = _digest(reader)
    entropy_model = find_model(digest, others)
    if entropy_model is None:
        known = ", ".join(f"{one.name} ({name})" for name, one in built_in_models().items())
        raise UnknownEntropyModelError(reader.start, digest.hex(), known)
    return entropy_model


def _resampled(mask: NDArray[np.bool_], grid: SphericalProjection) -> NDArray[np.bool_]:
    """The mask on another grid of the same field of view: the nearest pixel counts."""
    height, width = mask.shape
    if (height, width) == (grid.height, grid.width):
        return mask
    rows = (2 * np.arange(grid.height) + 1) * height // (2 * grid.height)
    columns = (2 * np.arange(grid.width) + 1) * width // (2 * grid.width)
    return mask[np.ix_(rows, columns)]


MASK = MaskLayer()
