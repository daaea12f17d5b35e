"""Settings with which an encoding takes milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TINY: dict[str, Any] = {
    "qubits": 2,
    "features": 4,
    "blocks": 1,
    "steps": 3,
    "warm_steps": 2,
    "batch_size": 64,
    "refit_groups": 1,
    "restarts": 1,
}

SMALL_GRID = ["--height", "16", "--width", "64"]
"""Options of a command for a small range image."""


def tiny(**changes: Any) -> dict[str, Any]:
    """A small field, trained for a few steps; ``changes`` win."""
    return _TINY | changes


def set_options(settings: Mapping[str, Any]) -> list[str]:
    """Settings as options of a command: ``--set NAME=VALUE`` each."""
    return [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
