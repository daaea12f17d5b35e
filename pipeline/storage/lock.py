"""One writer a folder: a lock file that says who writes there.

The operating system's lock on that file tells whether its writer lives: a killed process leaves
the file, but no lock. So what a dead process of this machine left is taken over, whatever has
become of its process id. Of another machine nobody knows: its lock file stays until it is removed.
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

from pipeline.storage.files import unwritable
from quinr_lidar.errors import StorageError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOCK = "writer.lock"
"""Name of the lock file in the folder that it protects."""

_UNSUPPORTED = {errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS, errno.EINVAL}


class LockedError(StorageError):
    """A folder that another process writes to. The message names it, and says what to do."""


@dataclass(frozen=True)
class Holder:
    """Who writes, or wrote, to a folder.

    Attributes:
        pid: Its process.
        host: Its machine.
        since: When it began, UTC.
        note: Whatever it wanted to leave to whom takes over.
    """

    pid: int
    host: str
    since: str
    note: str = ""

    @classmethod
    def this_process(cls, note: str = "") -> Holder:
        """The one that is running."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return cls(os.getpid(), socket.gethostname(), now, note)


@contextmanager
def lock(folder: Path, note: str = "") -> Iterator[Holder | None]:
    """Be the only one who writes to a folder, which is made if need be.

    Args:
        folder: Any; all writers of it must ask.
        note: For whoever takes over from this process, should it be killed.

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
        # Removed before it is let go: who waits for the handle then sees that the file is gone.
        if _is_still(path, handle):
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
    """The lock file's handle, and whose file it was."""
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
            # A file that was removed in between protects nothing.
            if _is_still(path, handle):
                _write(path, handle, Holder.this_process(note))
                return handle, left
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _is_held(handle: int, holder: Holder | None) -> bool:
    """Whether a lock file keeps this process out; if not, the handle holds the lock now."""
    free = _try_lock(handle)
    if holder is not None and holder.host != socket.gethostname():
        return True
    return not (_is_dead(holder) if free is None else free)


def _try_lock(handle: int) -> bool | None:
    """Whether the lock was free; ``None`` where the file system knows no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return None
        raise
    return True


def _is_dead(holder: Holder | None) -> bool:
    """Whether a process of this machine has ended, where its id is all there is to go by."""
    if holder is None:
        return True
    if os.name != "posix":
        return False
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _is_still(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except OSError:
        return False


def _read(handle: int) -> Holder | None:
    """What a lock file says; ``None`` of a new one, or one that was cut short."""
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
