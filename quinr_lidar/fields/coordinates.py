"""Coordinates of an image's pixels, as every field sees them."""

from __future__ import annotations

import torch
from torch import Tensor


def pixel_coordinates(height: int, width: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """(x, y) of every pixel centre in [-1, 1], row-major: [H * W, 2].

    Computed in float64 and then rounded, so that both dtypes name the same place.
    """
    x = (2 * torch.arange(width, dtype=torch.float64) + 1) / width - 1
    y = (2 * torch.arange(height, dtype=torch.float64) + 1) / height - 1
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    return torch.stack((columns, rows), -1).view(-1, 2).to(dtype)
