"""Arrays of NumPy or of torch: a decoder has the former, a training the latter.

Formulas that both need are written once, in what the two libraries have in common (the array API
standard, https://data-apis.org/array-api). torch is imported only for its own tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Array = TypeVar("Array", NDArray[Any], "Tensor")
"""All arrays of one call are NumPy's, or all are torch's."""


def namespace(array: Any) -> Any:
    """The library of an array: the module ``numpy`` or the module ``torch``."""
    if isinstance(array, np.ndarray):
        return np
    import torch

    return torch


def to_numpy(array: Any) -> NDArray[Any]:
    """A contiguous NumPy array; it shares its memory with a contiguous array on the CPU."""
    if isinstance(array, np.ndarray):
        return np.ascontiguousarray(array)
    return array.detach().cpu().contiguous().numpy()


def like(values: NDArray[Any], other: Any) -> Any:
    """Values as an array of another one's library, on the CPU, sharing memory."""
    return values if isinstance(other, np.ndarray) else namespace(other).from_numpy(values)


def to_tensors(
    arrays: Mapping[str, NDArray[Any]], dtype: torch.dtype | None = None
) -> dict[str, Tensor]:
    """Named arrays as tensors of torch, of their own dtype or another one."""
    import torch

    return {name: torch.from_numpy(array).to(dtype) for name, array in arrays.items()}
