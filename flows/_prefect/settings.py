"""Prefect settings these flows need, wherever the user has not chosen otherwise."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from pipeline.jobs.log_lines import FORMAT

DEFAULTS = {
    # A cold ephemeral server takes 12-26 s; Prefect gives up after 20 and leaves an orphan.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "DO_NOT_TRACK": "1",
    # The progress bar says what a person wants to know.
    "PREFECT_LOGGING_LEVEL": "WARNING",
    # A Ray cluster that a flow starts tells nobody of it either.
    "RAY_USAGE_STATS_ENABLED": "0",
}

JSON_LOGS = {
    # Everything that Prefect's configuration writes to stderr, its server's messages included.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_CLASS": "pipeline.jobs.log_lines.JsonHandler",
    "PREFECT_LOGGING_HANDLERS_DEBUG_CLASS": "pipeline.jobs.log_lines.JsonHandler",
}


def apply_defaults() -> None:
    """Set every default that the environment leaves open.

    Who has set Prefect up (by its variables or by a profile) keeps that setup, server and all;
    for everybody else the flows' database lives in a folder of its own.
    """
    wanted = dict(DEFAULTS)
    if os.environ.get(FORMAT) == "json":
        wanted |= JSON_LOGS
        logging.captureWarnings(capture=True)
    for name, value in wanted.items():
        os.environ.setdefault(name, value)
    if not _is_set_up():
        home = _own_home()
        # Prefect makes the folder itself but not those above it, and then has no database.
        home.parent.mkdir(parents=True, exist_ok=True)
        os.environ["PREFECT_HOME"] = str(home)


def _is_set_up() -> bool:
    chosen = ("PREFECT_HOME", "PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH")
    profiles = Path("~/.prefect/profiles.toml").expanduser()
    return any(os.environ.get(name) for name in chosen) or profiles.is_file()


def _own_home() -> Path:
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "quinr-lidar" / "prefect"
