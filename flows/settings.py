"""Prefect settings these flows need, wherever the user has not chosen otherwise."""

from __future__ import annotations

import os

DEFAULTS = {
    # A cold ephemeral server takes 12-26 s; Prefect gives up after 20 and leaves an orphan.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "DO_NOT_TRACK": "1",
    # The progress bar says what a person wants to know.
    "PREFECT_LOGGING_LEVEL": "WARNING",
}


def apply_defaults() -> None:
    """Set every default that the environment leaves open."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
