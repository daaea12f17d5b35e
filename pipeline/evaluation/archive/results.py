"""The result of evaluating a packed archive."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.evaluation.tasks import EvaluationRecord, TaskSettings


@dataclass(frozen=True)
class ArchiveEvaluation:
    """Figures of an archive's frames against the originals.

    Attributes:
        settings: What was measured.
        records: One for each frame of the archive, in the order of the drive. A frame that was not
            sampled has no figures; one that could not be evaluated has an error.
        originals: The data set, as a person wrote it.
        mcap_sha256: SHA-256 of the MCAP that was evaluated.
    """

    settings: TaskSettings
    records: tuple[EvaluationRecord, ...]
    originals: str
    mcap_sha256: str
