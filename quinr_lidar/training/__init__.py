"""Training: fields to the pixels of images, conditional fields to short codes."""

from quinr_lidar.training.fit import FitProgress, FitResult, FitSettings, Optimizer, fit

__all__ = [
    "FitProgress",
    "FitResult",
    "FitSettings",
    "Optimizer",
    "fit",
]
