"""Successive halving (Jamieson and Talwalkar 2016): short trainings of many, long ones of few.

Every outcome is written to a journal at once, so that a search that was stopped continues where
it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from pipeline.jobs.processes import new_pool
from pipeline.search.trials import Outcome, Trial, run_trial
from pipeline.storage.journal import Journal

FACTOR = 3
"""A rung keeps one in three candidates, and the next one trains them three times as long."""


@dataclass(frozen=True)
class Ranked:
    """A candidate and its result at the last rung that it reached.

    Attributes:
        settings: The candidate.
        psnr_db: Mean PSNR, dB.
        steps: Steps of these trainings.
    """

    settings: dict[str, Any]
    psnr_db: float
    steps: int


def halve(
    candidates: Sequence[dict[str, Any]],
    sources: Sequence[Path],
    journal: Journal[Outcome],
    *,
    steps: int,
    seeds: int,
    workers: int,
    progress: Callable[[str], None] | None = None,
) -> list[Ranked]:
    """Rank candidates, the best first.

    Args:
        candidates: Settings of profiles.
        sources: Scans and images to encode; the mean over all of them counts.
        journal: Journal of outcomes.
        steps: Steps of the last rung's trainings, and of the preset.
        seeds: Number of trainings in the last rung; earlier rungs have one.
        workers: Number of processes.
        progress: Called with a line for each trial and rung.

    Returns:
        The candidates of the last rung, then those of the rung before, and so on.

    Raises:
        QuinrError: a source cannot be read, or the journal not be written.
    """
    say = progress or (lambda _: None)
    rungs = _rungs(len(candidates))
    order: list[Ranked] = []
    dropped: list[Ranked] = []
    keep = 0
    alive = list(candidates)
    journal.prepare()
    with new_pool(workers) as pool:
        for rung in range(rungs):
            last = rung == rungs - 1
            length = max(1, steps // FACTOR ** (rungs - 1 - rung))
            numbers = range(seeds if last else 1)
            trials = {
                index: [Trial(source, one, length, seed) for source in sources for seed in numbers]
                for index, one in enumerate(alive)
            }
            say(f"rung {rung + 1} of {rungs}: {len(alive)} candidates, {length} steps")
            done = _run(pool, [t for some in trials.values() for t in some], journal, say)
            order = sorted(
                (
                    Ranked(alive[index], _mean([done[trial.key] for trial in some]), length)
                    for index, some in trials.items()
                ),
                key=lambda one: -one.psnr_db,
            )
            keep = len(order) if last else max(1, len(order) // FACTOR)
            dropped = order[keep:] + dropped
            alive = [one.settings for one in order[:keep]]
    return order[:keep] + dropped


def _rungs(candidates: int) -> int:
    rungs = 1
    while candidates >= 2 * FACTOR and rungs < 4:
        candidates //= FACTOR
        rungs += 1
    return rungs


def _run(
    pool: ProcessPoolExecutor,
    trials: list[Trial],
    journal: Journal[Outcome],
    say: Callable[[str], None],
) -> dict[str, Outcome]:
    waiting = {pool.submit(run_trial, t): t for t in trials if t.key not in journal.entries}
    for future in as_completed(waiting):
        outcome = future.result()
        journal.add(outcome)
        say(_line(waiting[future], outcome))
    return {trial.key: journal.entries[trial.key] for trial in trials}


def _mean(outcomes: list[Outcome]) -> float:
    """Mean PSNR; a candidate that failed once is useless."""
    values = [outcome.psnr_db for outcome in outcomes]
    return fmean(value if value is not None else float("-inf") for value in values)


def _line(trial: Trial, outcome: Outcome) -> str:
    sizes = " ".join(
        f"{name}={trial.settings[name]}"
        for name in ("qubits", "features", "sine_layers", "blocks", "readout", "learning_rate")
        if name in trial.settings
    )
    result = outcome.error or f"{outcome.psnr_db:.3f} dB, {outcome.bytes} B"
    return f"{trial.source.name} {sizes} steps={trial.steps} seed={trial.seed}: {result}"
