"""Packed archives against their originals: what was measured of each frame, and resumable runs.

``plan_evaluation`` looks at both, ``evaluation_jobs`` says what is left to do,
``run_evaluation_job`` does a part of it in any process, ``read_evaluation`` puts the parts
together.
"""

from pipeline.evaluation.archive.jobs import EvaluationJob, JobRecord, run_evaluation_job
from pipeline.evaluation.archive.plan import EvaluationPlan, check_backends, plan_evaluation
from pipeline.evaluation.archive.progress import evaluation_jobs, read_evaluation
from pipeline.evaluation.archive.results import ArchiveEvaluation

__all__ = [
    "ArchiveEvaluation",
    "EvaluationJob",
    "EvaluationPlan",
    "JobRecord",
    "check_backends",
    "evaluation_jobs",
    "plan_evaluation",
    "read_evaluation",
    "run_evaluation_job",
]
