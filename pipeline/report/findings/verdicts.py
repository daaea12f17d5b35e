"""What a person should know first: sentences, good news and bad."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from pipeline.facts.units import plain_length, text_of
from pipeline.report.document import EvaluationPart, Failure, State, Summary, Verdict


def verdicts_of(
    summary: Summary,
    failures: Sequence[Failure],
    problems: Sequence[str],
    evaluation: EvaluationPart | None,
    *,
    originals: bool,
) -> list[Verdict]:
    """Sentences for the top of a report, the most important ones first.

    Args:
        summary: The figures on the cards.
        failures: Failures of frames.
        problems: Other problems of the archive.
        evaluation: Results of an evaluation, if there was one.
        originals: Whether a data set of originals was at hand.
    """
    found = [Verdict(state="bad", text=f"{problem}.") for problem in problems]
    found += _frames(summary, failures)
    found += _max_error(summary)
    if evaluation is not None:
        found += _evaluation(summary, evaluation)
    else:
        text = "Not evaluated: figures are those measured when each frame was archived."
        found.append(Verdict(state="note", text=text))
    if not originals:
        text = "No originals were at hand: images show decoded frames only."
        found.append(Verdict(state="note", text=text))
    return found


def _frames(summary: Summary, failures: Sequence[Failure]) -> Iterator[Verdict]:
    if not summary.frames:
        yield Verdict(state="bad", text="The archive lists no frames.")
    elif not summary.failed:
        count = "The only frame is" if summary.frames == 1 else f"All {summary.frames:,} frames are"
        yield Verdict(state="good", text=f"{count} in the archive, and every file has its SHA-256.")
    else:
        stages = Counter(failure.stage for failure in failures)
        parts = ", ".join(f"{count} in {stage}" for stage, count in stages.items())
        share = f"{summary.failed:,} of {summary.frames:,} frames failed"
        yield Verdict(state="bad", text=f"{share} ({parts}). Keep their originals.")


def _max_error(summary: Summary) -> Iterator[Verdict]:
    error = text_of("length", summary.largest_error_m)
    max_error = (
        "its max error" if summary.max_error_m is None else plain_length(summary.max_error_m)
    )
    again = ""
    if summary.max_error_checked:
        count = f"{summary.max_error_checked:,} of {summary.held:,} frames"
        again = f" and again, against the originals, for {count}"
    said: dict[str, tuple[State, str]] = {
        "yes": (
            "good",
            f"Masks are exact, and no range errs by more than {max_error}: the largest error is "
            f"{error}, measured when archived{again}.",
        ),
        "no": (
            "bad",
            f"A frame breaks its promise: an error of {error} where {max_error} was promised, or a "
            "mask that is not exact. Keep the originals.",
        ),
        "unknown": (
            "bad",
            "Whether the max error is kept is unknown: the manifest lacks errors or masks of "
            "frames.",
        ),
        "no promise": (
            "note",
            "Previews promise no max error: do not delete originals on their account.",
        ),
    }
    if summary.held:
        state, text = said[summary.max_error_kept]
        yield Verdict(state=state, text=text)


def _evaluation(summary: Summary, evaluation: EvaluationPart) -> Iterator[Verdict]:
    if evaluation.measured < summary.frames:
        text = f"{evaluation.measured:,} of {summary.frames:,} frames were evaluated."
        yield Verdict(state="note", text=text)
    if summary.drift_per_m is None:
        return
    text = (
        f"Odometry on decoded clouds drifts {text_of('rate', summary.drift_per_m)} against "
        f"{summary.drift_reference}"
    )
    others = {"the scans": summary.drift_scan_per_m, "range images": summary.drift_image_per_m}
    known = [
        f"{text_of('rate', value)} on {name}" for name, value in others.items() if value is not None
    ]
    yield Verdict(state="note", text=text + (f"; {', '.join(known)}." if known else "."))
