"""What a decoded scan is worth."""

from pipeline.evaluation.fidelity import FrameFidelity, measure_frame, summarise

__all__ = ["FrameFidelity", "measure_frame", "summarise"]
