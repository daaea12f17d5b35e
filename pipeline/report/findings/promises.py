"""Whether an archive's frames keep what their files promise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.archive.manifest import FrameRow
from pipeline.evaluation.tasks import EvaluationRecord
from pipeline.report.document import Failure, Kept
from pipeline.report.findings.files import FrameFiles, failure_of

EVALUATED = "max_error_kept"
"""An evaluation's figure: whether every pixel of a frame is as promised."""

_BEST_FIRST: tuple[Kept, ...] = ("yes", "unknown", "no")


@dataclass(frozen=True)
class PromiseCheck:
    """Whether files keep their promises.

    Attributes:
        kept: The outcome over all frames with a sound file.
        checked: Number of frames that an evaluation compared with their originals, pixel by pixel.
        broken: Failures of those that break their promise.
    """

    kept: Kept
    checked: int
    broken: list[Failure]


def check_promises(
    rows: Sequence[FrameRow], files: FrameFiles, records: Mapping[str, EvaluationRecord]
) -> PromiseCheck:
    """Check whether frames keep their max errors: by an evaluation, else by their rows.

    Where the allowed error grows with the range, every range was checked when the frame was
    archived; here the row's largest error is compared with the largest error allowed anywhere.
    """
    found: set[Kept] = set()
    checked, broken = 0, []
    for row in rows:
        if row.frame_id not in files.infos:
            continue
        record = records.get(row.frame_id)
        evaluated = None if record is None else record.figures.get(EVALUATED)
        if evaluated is None:
            found.add(_kept(row, files))
            continue
        checked += 1
        found.add("yes" if evaluated else "no")
        if not evaluated:
            reason = "the mask is not exact or a range errs by more than promised"
            broken.append(failure_of(row, "measuring", f"{reason}; do not delete the original"))
    kept: Kept = "no promise"
    for one in _BEST_FIRST:
        kept = one if one in found else kept
    return PromiseCheck(kept, checked, broken)


def _kept(row: FrameRow, files: FrameFiles) -> Kept:
    promise, info = files.promise(row.frame_id), files.infos[row.frame_id]
    if promise is None or promise.max_error is None:
        return "no promise"
    error, exact = row.figures.get("largest_error_m"), row.figures.get("mask_exact")
    if error is None or exact is None:
        return "unknown"
    allowed = max(promise.max_error, promise.relative_error * info.scan["no_return"])
    return "yes" if exact and error <= allowed else "no"
