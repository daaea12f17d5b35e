"""One writer a folder: a lock file that says who writes there.

The operating system's lock on that file tells whether its writer is alive: a killed process leaves
the file, but no lock. So another process takes over what a dead process of this machine left, even
if its process id is in use again. A lock of another machine may be invisible here: its lock file
stays until somebody removes it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import lock_descriptor

from pipeline.storage.files import unwritable
from quinr_lidar.errors import StorageError

LOCK = "writer.lock"
"""Name of the lock file in the folder that it protects."""

_UNSUPPORTED = {errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS, errno.EINVAL}


class LockedError(StorageError):
    """Another process writes to the folder. The message names it and says what to do."""


@dataclass(frozen=True)
class Holder:
    """Who writes, or wrote, to a folder.

    Attributes:
        pid: Its process id.
        host: Its machine.
        since: When it began, UTC.
        note: Note for the process that takes over the lock.
    """

    pid: int
    host: str
    since: str
    note: str = ""

    @classmethod
    def this_process(cls, note: str = "") -> Holder:
        """The process that is running."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return cls(os.getpid(), socket.gethostname(), now, note)


@contextmanager
def lock(folder: Path, note: str = "") -> Iterator[Holder | None]:
    """Be the only one who writes to a folder; the folder is made if need be.

    Args:
        folder: Any folder; all writers must ask for its lock.
        note: Note for the process that takes over the lock, should this one be killed.

    Yields:
        The killed process of this machine from which the lock was taken over, if there was one.

    Raises:
        LockedError: another process writes there, or another machine's lock file is there.
        StorageError: the folder cannot be written.
    """
    path = folder / LOCK
    handle, left = _acquire(path, note)
    try:
        yield left
    finally:
        # Removed before it is unlocked: whoever waits for the handle then sees that it is gone.
        if _is_same_file(path, handle):
            with contextlib.suppress(OSError):
                path.unlink()
        os.close(handle)


def holder_of(folder: Path) -> Holder | None:
    """Who keeps others from writing to a folder; changes nothing.

    Returns:
        ``None`` where :func:`lock` would succeed, as far as locks go.
    """
    try:
        handle = os.open(folder / LOCK, os.O_RDWR)
    except OSError:
        return None
    try:
        found = _read(handle)
        return found if _is_held(handle, found) else None
    finally:
        os.close(handle)


def check_unlocked(folder: Path) -> None:
    """Fail early where :func:`lock` would.

    Raises:
        LockedError: see :func:`lock`.
    """
    if (holder := holder_of(folder)) is not None:
        raise _locked(folder / LOCK, holder)


def _acquire(path: Path, note: str) -> tuple[int, Holder | None]:
    """The locked file's handle, and what the file said before."""
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise unwritable(path, error) from error
        try:
            left = _read(handle)
            if _is_held(handle, left):
                raise _locked(path, left)
            # A file that was removed in between protects nothing: try the new one.
            if _is_same_file(path, handle):
                _write(path, handle, Holder.this_process(note))
                return handle, left
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _is_held(handle: int, holder: Holder | None) -> bool:
    """Whether a lock file keeps this process out; if not, the handle holds the lock now."""
    try:
        free = lock_descriptor(handle, blocking=False)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        # The file system has no locks: the process id is all there is to go by.
        free = holder is None or not _is_alive(holder.pid)
    other_machine = holder is not None and holder.host != socket.gethostname()
    return other_machine or not free


def _is_alive(pid: int) -> bool:
    """Whether a process of this machine is running, as far as one can tell."""
    if os.name != "posix":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_same_file(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except OSError:
        return False


def _read(handle: int) -> Holder | None:
    """What a lock file says; ``None`` for a new one, or one that a crash cut short."""
    try:
        values: dict[str, Any] = json.loads(os.pread(handle, 1 << 16, 0))
        return Holder(**values)
    except (ValueError, TypeError):
        return None


def _write(path: Path, handle: int, holder: Holder) -> None:
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(asdict(holder)).encode(), 0)
        os.fsync(handle)
    except OSError as error:
        raise unwritable(path, error) from error


def _locked(path: Path, holder: Holder | None) -> LockedError:
    if holder is None:
        return LockedError(f"{path}: another process begins to write to {path.parent}; wait for it")
    advice = "wait for it to end"
    if holder.host != socket.gethostname():
        advice += f"; if {holder.host} has lost it, remove this file"
    return LockedError(
        f"{path}: process {holder.pid} on {holder.host} writes to {path.parent} "
        f"since {holder.since}; {advice}"
    )
