"""How far a flow is, in Prefect's UI: an artifact that is brought up to date now and then."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from flows._prefect.artifacts import artifact_key
from pipeline.jobs.job import Record

PAUSE = 10.0
"""Seconds between two updates, at least: each is a request to the server."""


class ProgressArtifact:
    """Counts jobs; must be made inside a flow.

    What cannot be shown is no reason to fail: the first error is logged, and ends the showing.

    Args:
        total: Number of jobs.
        title: What all jobs are called.
        unit: What one job works on, in the singular.
    """

    def __init__(self, total: int, title: str, unit: str, pause: float = PAUSE) -> None:
        self._total, self._title, self._unit = total, title, unit
        self._pause = pause
        self._done = self._failed = 0
        self._shown = time.monotonic()
        self._artifact: UUID | None = None
        self._try(self._create)

    def report(self, record: Record) -> None:
        """Count a record, of one thread at a time."""
        self._done += 1
        self._failed += record.status == "failed"
        if self._done == self._total or time.monotonic() - self._shown >= self._pause:
            self._shown = time.monotonic()
            self._try(self._update)

    def _create(self) -> None:
        # Typed as if it might have to be awaited, which it need not in a flow that is no coroutine.
        created: Any = create_progress_artifact(
            progress=0.0, key=artifact_key("progress", self._title), description=self._text()
        )
        self._artifact = created

    def _update(self) -> None:
        if self._artifact is not None:
            update_progress_artifact(
                self._artifact, 100 * self._done / self._total, description=self._text()
            )

    def _text(self) -> str:
        return f"{self._title}: {self._done}/{self._total} {self._unit}s, {self._failed} failed"

    def _try(self, show: Callable[[], None]) -> None:
        try:
            show()
        except Exception:
            self._artifact = None
            logging.getLogger(__name__).warning("progress is not shown in Prefect", exc_info=True)
