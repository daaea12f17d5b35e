"""What is told on stderr while work goes on, one JSON object a line, for programs that read it.

Chosen by the environment (:data:`FORMAT`), since it suits a machine and not a command.
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
    """Whether programs read what is told.

    Raises:
        ProfileError: the variable says something else than json or text.
    """
    chosen = os.environ.get(FORMAT) or "text"
    if chosen not in ("json", "text"):
        # Prefect's server logs with this module, and has no use for the codec.
        from quinr_lidar.errors import ProfileError

        raise ProfileError(f"{FORMAT}={chosen}: expected json or text")
    return chosen == "json"


def event_line(event: str, seconds: float | None = None, **values: Any) -> str:
    """One event as a line.

    Args:
        event: What happened.
        seconds: When, since the epoch; now when ``None``.
        **values: What JSON has; everything else becomes text.
    """
    when = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    time = when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"time": time, "event": event} | values, default=str)


def write_event(event: str, **values: Any) -> None:
    """Write an event to stderr; arguments as :func:`event_line`."""
    # One call, or lines of two threads could get mixed up.
    sys.stderr.write(event_line(event, **values) + "\n")
    sys.stderr.flush()


class JsonHandler(logging.StreamHandler[TextIO]):
    """Writes log records as events, whatever formatter a configuration gives it.

    Args:
        stream: Where to; stderr by default.
        **_styles: Of the handler of Prefect's that it replaces.
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
    """Log warnings and worse as events, in a process of which nobody else configures the logging.

    Does nothing where text is wanted.
    """
    if json_wanted():
        logging.basicConfig(handlers=[JsonHandler()], level=logging.WARNING, force=True)
        logging.captureWarnings(capture=True)
