"""What a decoded scan is worth."""

from pipeline.evaluation.fidelity import FrameFidelity, image_figures, measure_frame, summarise
from pipeline.evaluation.promises import (
    Promise,
    check_promise,
    largest_error,
    promise_of_file,
    promise_of_profile,
)

__all__ = [
    "FrameFidelity",
    "Promise",
    "check_promise",
    "image_figures",
    "largest_error",
    "measure_frame",
    "promise_of_file",
    "promise_of_profile",
    "summarise",
]
