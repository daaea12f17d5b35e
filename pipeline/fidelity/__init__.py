"""How close a decoded frame is to its original: arrays in, figures out.

No files and no archives here, so that every room which measures something can import it.
"""

from pipeline.fidelity.figures import FrameFidelity
from pipeline.fidelity.frame import image_figures, measure_frame
from pipeline.fidelity.promises import (
    Promise,
    check_promise,
    largest_error,
    promise_of_file,
    promise_of_profile,
)
from pipeline.fidelity.statistics import summarise

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
