"""Layer 1, the preview: a tiny field of coordinates, a value for every pixel of any grid.

In a file without a mask, a threshold of the values says which pixels were measured.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from quinr_lidar.errors import BitstreamError, GeometryError, TrainingError
from quinr_lidar.fields.grid_values import evaluate_grid, excess_work
from quinr_lidar.layers.field_section import Preview, unpack_preview
from quinr_lidar.layers.layer import Draft, Source
from quinr_lidar.layers.mask import MASK
from quinr_lidar.layers.threshold import best_threshold


class PreviewLayer:
    """The preview, see :class:`quinr_lidar.layers.layer.Layer`."""

    name = "preview"
    number = 1
    needs = ()
    gives = ("ranges", "valid")
    any_grid = True
    settings = ()
    promise = "Ranges are the preview's: there is no limit on their errors."

    def pack(self, source: Source) -> bytes:
        """Write the section of the trained field.

        Raises:
            TrainingError: training failed, or there is none.
        """
        if source.fit is None:
            raise TrainingError("expected a trained field to write, got none")
        fitted = source.fit()
        threshold = None
        if MASK.name not in source.layers:
            threshold = best_threshold(fitted.values[..., 0], source.image.valid)
        return fitted.payload(threshold)

    def unpack(self, payload: bytes, start: int, draft: Draft) -> None:
        """Evaluate the field on the grid that is wanted.

        Raises:
            BackendError: the simulator cannot run the field's circuits.
            BitstreamError: the section is not sound, or takes too much work.
            GeometryError: evaluating it on another grid takes too much work.
        """
        preview = self.read(payload, start, draft)
        height, width = draft.grid.height, draft.grid.width
        if (reason := excess_work(preview.field, height, width)) is not None:
            raise GeometryError(f"{height} x {width} pixels: {reason}")
        values = np.ones((height, width))
        inside = draft.window.slices if draft.window else (slice(None), slice(None))
        values[inside] = evaluate_grid(
            preview.field, preview.parameters, height, width, draft.window, draft.simulate
        )[..., 0]
        draft.ranges = (values * draft.no_return).astype(np.float32)
        draft.keeps_values = preview.threshold is not None
        draft.guessed = preview.threshold is None
        draft.valid = (
            np.ones(values.shape, bool) if preview.threshold is None else values < preview.threshold
        )

    def describe(self, payload: bytes, start: int, draft: Draft) -> dict[str, Any]:
        """The threshold in metres, if there is one.

        Raises:
            BitstreamError: the section is not sound, or takes too much work.
        """
        threshold = self.read(payload, start, draft).threshold
        return {} if threshold is None else {"threshold": threshold * draft.no_return}

    def read(self, payload: bytes, start: int, draft: Draft) -> Preview:
        """The field of a scan's file, not evaluated.

        Raises:
            BitstreamError: the section is not sound, or takes too much work.
        """
        preview = read_preview(payload, start, draft.shape, masked=MASK.name not in draft.layers)
        if preview.field.outputs != 1:
            raise BitstreamError(
                "preview", start, f"a scan has one value, got {preview.field.outputs}"
            )
        return preview


def read_preview(
    payload: bytes, start: int, size: tuple[int, int], *, masked: bool = False
) -> Preview:
    """The field of any file, not evaluated.

    Args:
        payload: The section's bytes.
        start: Their offset in the file, for error messages.
        size: Rows and columns of the file's own grid.
        masked: Whether the section has a threshold.

    Raises:
        BitstreamError: the section is not sound, or takes too much work.
    """
    preview = unpack_preview(payload, start, masked=masked)
    if (reason := excess_work(preview.field, *size)) is not None:
        raise BitstreamError("preview", start, reason)
    return preview


PREVIEW = PreviewLayer()
