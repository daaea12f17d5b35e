"""How far a flow is: a bar on a terminal, plain lines in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from tqdm import tqdm

from pipeline.jobs import Record

_PAUSE = 10.0
"""Seconds between two lines, at least."""


@contextmanager
def progress_of(total: int, title: str, unit: str) -> Iterator[Callable[[Record], None]]:
    """Count jobs, failed ones and bytes, and print errors; yields what reports a record.

    Args:
        total: Number of jobs.
        title: Of all.
        unit: What a job is of, in the singular.
    """
    if not sys.stderr.isatty():
        lines = _Lines(total, title, unit)
        yield lines.report
        lines.write()
        return
    with tqdm(total=total, desc=title, unit=unit) as bar:
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


class _Lines:
    """A line now and then; arguments as :func:`progress_of`."""

    def __init__(self, total: int, title: str, unit: str) -> None:
        self._total, self._title, self._unit = total, title, unit
        self._done = self._failed = self._bytes = 0
        self._began = self._written = time.monotonic()

    def report(self, record: Record) -> None:
        """Count a record; what failed is written at once."""
        self._done += 1
        self._bytes += _bytes(record)
        if record.status == "failed":
            self._failed += 1
            _write(f"{self._title}: {record.error or 'failed'}")
        if time.monotonic() - self._written >= _PAUSE:
            self.write()

    def write(self) -> None:
        """The line."""
        self._written = time.monotonic()
        rate = self._done / max(self._written - self._began, 1e-9)
        parts = [f"{self._title}: {self._done}/{self._total} {self._unit}s"]
        parts += [f"{self._failed} failed", f"{rate:.3g} {self._unit}s/s"]
        if self._bytes:
            parts.append(f"{self._bytes / 1e6:.1f} MB")
        if 0 < self._done < self._total:
            parts.append(f"{timedelta(seconds=round((self._total - self._done) / rate))} left")
        _write(", ".join(parts))


def _bytes(record: Record) -> int:
    return int((record.fidelity or {}).get("encoded_bytes") or 0)


def _write(line: str) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    print(f"{now} {line}", file=sys.stderr, flush=True)  # noqa: T201
