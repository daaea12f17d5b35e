"""Messages on stderr as JSON, one object a line, for programs that read them.

The environment chooses them (:data:`FORMAT`), since that is a property of the machine and not of a
command.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

FORMAT = "QUINR_LOG_FORMAT"
"""Environment variable: "json", or "text" (the default)."""


def json_wanted() -> bool:
    """Whether messages are to be JSON.

    Raises:
        ProfileError: the variable is neither json nor text.
    """
    chosen = os.environ.get(FORMAT) or "text"
    if chosen not in ("json", "text"):
        # Prefect's server logs with this module and does not need the codec.
        from quinr_lidar.errors import ProfileError

        raise ProfileError(f"{FORMAT}={chosen}: expected json or text")
    return chosen == "json"


def event_line(event: str, seconds: float | None = None, **values: Any) -> str:
    """One event as a line.

    Args:
        event: What happened.
        seconds: Time in seconds since the epoch; now when ``None``.
        **values: More about the event; what JSON cannot hold becomes text.
    """
    when = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    time = when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"time": time, "event": event} | values, default=str)


def write_event(event: str, **values: Any) -> None:
    """Write an event to stderr; see :func:`event_line` for the arguments."""
    # One call, or lines of two threads could get mixed up.
    sys.stderr.write(event_line(event, **values) + "\n")
    sys.stderr.flush()


class JsonHandler(logging.StreamHandler[TextIO]):
    """Writes log records as events; a formatter from the configuration is not used.

    Args:
        stream: Where to write; stderr by default.
        **_styles: Ignored: styles for the handler of Prefect's that this one replaces.
    """

    def __init__(self, stream: TextIO | None = None, **_styles: Any) -> None:
        super().__init__(stream)

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line; an exception's traceback is part of it."""
        values = {"level": record.levelname, "logger": record.name, "message": record.getMessage()}
        if record.exc_info and record.exc_info[0] is not None:
            values["exception"] = logging.Formatter().formatException(record.exc_info)
        return event_line("log", record.created, **values)


def log_as_json() -> None:
    """Log warnings and worse as events, in a process whose logging nothing else configures.

    Does nothing where text is wanted.
    """
    if json_wanted():
        logging.basicConfig(handlers=[JsonHandler()], level=logging.WARNING, force=True)
        logging.captureWarnings(capture=True)
