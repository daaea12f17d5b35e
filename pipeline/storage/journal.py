"""A journal: outcomes on disk, one line of JSON for each as soon as it is known.

After a crash, even in the middle of a line, the next run continues from there.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from quinr_lidar.errors import StorageError


class Entry(Protocol):
    """A dataclass whose fields JSON can hold."""

    @property
    def key(self) -> str:
        """Names the work: the same in every run."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        ...


EntryT = TypeVar("EntryT", bound=Entry)


class Journal(Generic[EntryT]):
    """Outcomes of earlier runs and of this one.

    Args:
        path: The file, which need not exist. A line that is no entry, for instance one that a
            crash cut short, is ignored.
        kind: Class of the entries.

    Attributes:
        entries: Entries by their keys; the last one where several have the same key.

    Raises:
        StorageError: the file cannot be read.
    """

    def __init__(self, path: Path, kind: type[EntryT]) -> None:
        self._path = path
        self.entries: dict[str, EntryT] = {}
        try:
            data = path.read_bytes() if path.exists() else b""
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror}") from error
        for line in data.splitlines():
            # As bytes: a crash may cut a line within a character.
            try:
                entry = kind(**json.loads(line))
            except (ValueError, TypeError):
                continue
            self.entries[entry.key] = entry

    def prepare(self) -> None:
        """Make the file now, so that an unwritable place is noticed before hours of work.

        Raises:
            StorageError: it cannot be written.
        """
        self._write("")

    def add(self, entry: EntryT) -> None:
        """Write an entry down; it is on the disk when this returns.

        Raises:
            StorageError: the file cannot be written.
        """
        self.entries[entry.key] = entry
        self._write(json.dumps(entry.as_dict()) + "\n")

    def _write(self, lines: str) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            known = self._path.read_bytes() if self._path.exists() else b""
            cut_short = bool(known) and not known.endswith(b"\n")
            with self._path.open("a") as file:
                file.write(("\n" if cut_short else "") + lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(f"{self._path}: {error.strerror}") from error
