"""How far a flow is: a bar on a terminal, lines in a log file, events for programs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from tqdm import tqdm

from pipeline.jobs.job import FileRecord, Record
from pipeline.jobs.log_lines import json_wanted, write_event

PAUSE = 10.0
"""Seconds between two lines, at least."""

_BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_noinv_fmt}{postfix}]"
"""tqdm's own, but the rate is never turned into seconds a frame."""


@contextmanager
def progress_of(
    total: int, title: str, unit: str, pause: float = PAUSE
) -> Iterator[Callable[[Record], None]]:
    """Count jobs, failed ones and bytes, and print errors; yields what reports a record.

    Args:
        total: Number of jobs.
        title: What all jobs are called.
        unit: What one job works on, in the singular.
        pause: Seconds between two lines at least, where there is no bar.

    Raises:
        ProfileError: the environment asks for an unknown format, see
            :mod:`pipeline.jobs.log_lines`.
    """
    if json_wanted() or not sys.stderr.isatty():
        form = _JsonForm() if json_wanted() else _TextForm()
        lines = _Lines(total, title, unit, pause, form)
        yield lines.report
        lines.write()
        return
    with tqdm(total=total, desc=title, unit=unit, bar_format=_BAR) as bar:
        failed = size = 0

        def report(record: Record) -> None:
            nonlocal failed, size
            size += _bytes(record)
            if record.status == "failed":
                failed += 1
                tqdm.write(record.error or "failed", file=sys.stderr)
            bar.set_postfix({"failed": failed, "MB": f"{size / 1e6:.1f}"}, refresh=False)
            bar.update()

        yield report


@dataclass(frozen=True)
class _Now:
    """How far it is.

    Attributes:
        title: What all jobs are called.
        unit: What one job works on, in the singular.
        done: Number of jobs that have ended, failed ones included.
        total: Number of all jobs.
        failed: Number of jobs that failed.
        rate: Jobs a second.
        size: Bytes written.
    """

    title: str
    unit: str
    done: int
    total: int
    failed: int
    rate: float
    size: int

    @property
    def seconds_left(self) -> float | None:
        """``None`` before the first is done."""
        return (self.total - self.done) / self.rate if self.done else None


class _Form(Protocol):
    """What lines look like."""

    def progress(self, now: _Now) -> None:
        """How far it is."""

    def failure(self, title: str, record: Record) -> None:
        """A job that failed."""


class _TextForm:
    """For people."""

    def progress(self, now: _Now) -> None:
        parts = [f"{now.title}: {now.done}/{now.total} {now.unit}s"]
        parts += [f"{now.failed} failed", f"{now.rate:.3g} {now.unit}s/s"]
        if now.size:
            parts.append(f"{now.size / 1e6:.1f} MB")
        if now.seconds_left:
            parts.append(f"{timedelta(seconds=round(now.seconds_left))} left")
        _write(", ".join(parts))

    def failure(self, title: str, record: Record) -> None:
        _write(f"{title}: {record.error or 'failed'}")


class _JsonForm:
    """For programs, see :mod:`pipeline.jobs.log_lines`."""

    def progress(self, now: _Now) -> None:
        left = now.seconds_left
        write_event(
            "progress",
            title=now.title,
            unit=now.unit,
            done=now.done,
            total=now.total,
            failed=now.failed,
            rate=round(now.rate, 4),
            bytes=now.size,
            seconds_left=None if left is None else round(left, 1),
        )

    def failure(self, title: str, record: Record) -> None:
        write_event("failure", title=title, frame=record.name, error=record.error or "failed")


class _Lines:
    """A line now and then; arguments as :func:`progress_of`, and what lines look like."""

    def __init__(self, total: int, title: str, unit: str, pause: float, form: _Form) -> None:
        self._total, self._title, self._unit, self._form = total, title, unit, form
        self._pause = pause
        self._done = self._failed = self._bytes = 0
        self._began = self._written = time.monotonic()

    def report(self, record: Record) -> None:
        """Count a record; what failed is written at once."""
        self._done += 1
        self._bytes += _bytes(record)
        if record.status == "failed":
            self._failed += 1
            self._form.failure(self._title, record)
        if time.monotonic() - self._written >= self._pause:
            self.write()

    def write(self) -> None:
        """The line."""
        self._written = time.monotonic()
        rate = self._done / max(self._written - self._began, 1e-9)
        counts = (self._done, self._total, self._failed, rate, self._bytes)
        self._form.progress(_Now(self._title, self._unit, *counts))


def _bytes(record: Record) -> int:
    figures = record.fidelity if isinstance(record, FileRecord) else None
    return int((figures or {}).get("encoded_bytes") or 0)


def _write(line: str) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    print(f"{now} {line}", file=sys.stderr, flush=True)  # noqa: T201
