"""Coordinates of an image's pixels, as every field sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


def pixel_centres(height: int, width: int) -> NDArray[np.float64]:
    """(x, y) of every pixel centre in [-1, 1]: float64 [H, W, 2]."""
    x = (2 * np.arange(width, dtype=np.float64) + 1) / width - 1
    y = (2 * np.arange(height, dtype=np.float64) + 1) / height - 1
    return np.stack(np.meshgrid(x, y), -1)


def pixel_coordinates(height: int, width: int, dtype: torch.dtype | None = None) -> torch.Tensor:
    """(x, y) of every pixel centre in [-1, 1], row-major, for a training: tensor [H * W, 2].

    Args:
        height: Rows of the image.
        width: Columns of the image.
        dtype: float32 by default. Rounded from float64, so that all dtypes name the same place.
    """
    import torch

    return torch.from_numpy(pixel_centres(height, width)).view(-1, 2).to(dtype or torch.float32)
