"""Fitting a field to an image, and rounding its parameters."""

from quinr_lidar.training.fit import FitProgress, FitResult, FitSettings, Optimizer, fit
from quinr_lidar.training.quantization import QuantizedTensor, dequantize, quantize

__all__ = [
    "FitProgress",
    "FitResult",
    "FitSettings",
    "Optimizer",
    "QuantizedTensor",
    "dequantize",
    "fit",
    "quantize",
]
