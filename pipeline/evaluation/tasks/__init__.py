"""What decoded clouds are good for: odometry, registration, ground, occupancy."""

from pipeline.evaluation.tasks.odometry import check_odometry
from pipeline.evaluation.tasks.pair import evaluate_decoded, evaluate_originals, evaluate_pair
from pipeline.evaluation.tasks.records import EvaluationRecord, summarise_evaluation
from pipeline.evaluation.tasks.sequence import FrameClouds, SequenceFrame, evaluate_sequence
from pipeline.evaluation.tasks.track import TaskSettings, Track, TrackFrame

__all__ = [
    "EvaluationRecord",
    "FrameClouds",
    "SequenceFrame",
    "TaskSettings",
    "Track",
    "TrackFrame",
    "check_odometry",
    "evaluate_decoded",
    "evaluate_originals",
    "evaluate_pair",
    "evaluate_sequence",
    "summarise_evaluation",
]
