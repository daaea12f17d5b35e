"""Training: fields to the pixels of images, conditional fields to short codes.

Settings are loaded at once; :func:`fit`, which needs torch, when it is first used.
"""

from typing import TYPE_CHECKING, Any

from quinr_lidar.training.settings import FitProgress, FitSettings, Optimizer

if TYPE_CHECKING:
    from quinr_lidar.training.fitting import FitResult, fit

__all__ = [
    "FitProgress",
    "FitResult",
    "FitSettings",
    "Optimizer",
    "fit",
]


def __getattr__(name: str) -> Any:
    if name in ("FitResult", "fit"):
        from quinr_lidar.training import fitting

        return getattr(fitting, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
