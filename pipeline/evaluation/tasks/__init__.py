"""What decoded clouds are good for: odometry, registration, ground, occupancy."""

from pipeline.evaluation.tasks.cloud_tasks import CloudTasks, TaskResult, TaskSettings
from pipeline.evaluation.tasks.frames import DriveFrame, FrameClouds, evaluate_frames
from pipeline.evaluation.tasks.odometry import check_odometry
from pipeline.evaluation.tasks.pair import evaluate_decoded, evaluate_originals, evaluate_pair
from pipeline.evaluation.tasks.records import EvaluationRecord, summarise_evaluation

__all__ = [
    "CloudTasks",
    "DriveFrame",
    "EvaluationRecord",
    "FrameClouds",
    "TaskResult",
    "TaskSettings",
    "check_odometry",
    "evaluate_decoded",
    "evaluate_frames",
    "evaluate_originals",
    "evaluate_pair",
    "summarise_evaluation",
]
