"""Figures that an evaluation measures, by name: their titles, units and meanings.

They are declared where they are measured, as annotated fields. A figure of two clouds of a frame is
kept with a prefix that says which clouds (:data:`COMPARISONS`), a figure of one cloud with the
cloud's name.
"""

from __future__ import annotations

from pipeline.evaluation.cloud_fidelity import CloudComparison
from pipeline.evaluation.tasks.pair import Registration, TaskComparison
from pipeline.evaluation.tasks.trajectory import TrajectoryErrors
from pipeline.facts import Fact, facts_of

COMPARISONS = {
    "codec": "range image to decoded",
    "scan": "scan to decoded",
    "projection": "scan to range image",
}
"""Prefixes of figures of two clouds, and which clouds they compare: the codec's loss, what a user
is left with, and the loss of the projection alone."""


def _figures(*kinds: type) -> dict[str, Fact]:
    return {fact.name: fact for kind in kinds for fact in facts_of(kind) if fact.kind}


PAIRS = _figures(CloudComparison, TaskComparison)
"""Figures of two clouds of a frame."""

TRAJECTORY = _figures(TrajectoryErrors)
"""Figures of two trajectories."""

ALONE = _figures(Registration)
"""Figures of one cloud."""
