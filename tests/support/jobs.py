"""Jobs that do next to nothing: their workers start in no time, since they import no codec."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.jobs.job import Job


@dataclass(frozen=True)
class Done:
    """What became of a :class:`Task`."""

    name: str
    status: Literal["ok", "failed"] = "ok"
    error: str | None = None


@dataclass(frozen=True)
class Task(Job[Done]):
    """A job with a name and a folder in which its function may leave files."""

    name: str = ""  # pyright: ignore[reportIncompatibleMethodOverride]
    folder: Path = Path()
    predecessor: str | None = None

    @property
    def source(self) -> Path:
        return self.folder / self.name

    def failed(self, error: str) -> Done:
        return Done(self.name, "failed", self.complaint(error))

    def keep(self, record: Done) -> None:
        """Nothing."""


def tasks(folder: Path, *names: str) -> list[Task]:
    return [Task(name, folder) for name in names]


def attempt(job: Task) -> int:
    """Which attempt at a job this is; leaves a file with the worker's process id."""
    import os

    number = attempts(job.folder, job.name) + 1
    (job.folder / f"{job.name}.{number}").write_text(str(os.getpid()))
    return number


def attempts(folder: Path, name: str) -> int:
    """How often a job was tried."""
    return len(list(folder.glob(f"{name}.*")))
