"""Pictures and pages made from archived frames."""

from pipeline.report.frame_figure import figure_png, frame_figure

__all__ = ["figure_png", "frame_figure"]
