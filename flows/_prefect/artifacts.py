"""What the flows' artifacts in Prefect's UI have in common."""

from __future__ import annotations

MAX_ARTIFACT_ROWS = 500
"""Rows of a table, or Prefect's UI would take long to show it."""

_MAX_KEY_LENGTH = 200


def artifact_key(flow: str, name: str) -> str:
    """A key as Prefect allows it: lower-case letters, digits and dashes.

    Args:
        flow: Begins the key.
        name: Name of what the flow ran on; any characters.
    """
    key = "".join(c if c.isascii() and c.isalnum() else "-" for c in f"{flow}-{name}".lower())
    return key[:_MAX_KEY_LENGTH].strip("-")
