"""Fitting a field to an image, and rounding its parameters."""

from quinr_lidar.training.fit import FitProgress, FitResult, FitSettings, Optimizer, fit

__all__ = [
    "FitProgress",
    "FitResult",
    "FitSettings",
    "Optimizer",
    "fit",
]
