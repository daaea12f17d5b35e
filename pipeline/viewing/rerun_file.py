"""Rerun's recordings as files whose errors are noticed.

Rerun writes files in a thread of its own; when the disk is full that thread ends, and whoever
waits for it waits for ever. So Rerun writes into a pipe, which a thread of ours empties into the
file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

from quinr_lidar.errors import BackendError

_BLOCK = 1 << 20


@contextmanager
def recording_to(file: Path, rerun: ModuleType, application: str, layout: Any) -> Iterator[Any]:
    """A recording whose data go to a file.

    Args:
        file: Is there and empty.
        rerun: The module ``rerun``.
        application: Name that Rerun remembers layouts by.
        layout: The recording's blueprint.

    Yields:
        A ``rerun.RecordingStream``. When the block is left all of it is in the file.

    Raises:
        BackendError: Rerun is turned off, or the system has no pipes with names.
        OSError: the file cannot be written.
    """
    recording = rerun.RecordingStream(application)
    if not recording.is_enabled():
        raise BackendError("Rerun is turned off by the environment variable RERUN; unset it")
    source, sink = os.pipe()
    drain = _Drain(source, file)
    drain.start()
    try:
        try:
            recording.save(f"/dev/fd/{sink}", default_blueprint=layout)
        except RuntimeError as error:
            raise BackendError(f"Rerun cannot write into a pipe: {error}") from error
        finally:
            # It has opened the pipe by its name; the thread ends when it closes it again.
            os.close(sink)
        yield _Checked(recording, drain)
    finally:
        recording.disconnect()
        drain.join()
    drain.check()


class _Checked:
    """A recording that raises what the file's thread met."""

    def __init__(self, recording: Any, drain: _Drain) -> None:
        self._recording, self._drain = recording, drain

    def __getattr__(self, name: str) -> Any:
        return getattr(self._recording, name)

    def flush(self) -> None:
        """Wait until all is in the file.

        Raises:
            OSError: the file cannot be written.
        """
        self._recording.flush()
        self._drain.check()


class _Drain(Thread):
    """Empties a pipe into a file, to the end even when the file takes no more."""

    def __init__(self, source: int, file: Path) -> None:
        super().__init__(name="quinr-rerun", daemon=True)
        self._source, self._file = source, file
        self._error: OSError | None = None

    def run(self) -> None:
        """Until the pipe's other end is closed."""
        with os.fdopen(self._source, "rb") as pipe:
            try:
                with self._file.open("wb") as file:
                    while block := pipe.read1(_BLOCK):
                        file.write(block)
            except OSError as error:
                self._error = error
                while pipe.read1(_BLOCK):
                    pass

    def check(self) -> None:
        """Raise what kept the file from being written."""
        if self._error is not None:
            raise self._error
