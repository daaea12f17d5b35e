"""Fitting a field to an image, and rounding its parameters."""

from quinr_lidar.training.fit import FitProgress, FitResult, FitSettings, fit
from quinr_lidar.training.quantization import QuantizedTensor, dequantize, quantize

__all__ = [
    "FitProgress",
    "FitResult",
    "FitSettings",
    "QuantizedTensor",
    "dequantize",
    "fit",
    "quantize",
]
