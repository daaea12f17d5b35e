"""A message to whoever watches the nightly runs, when a flow ends badly.

The address comes from the environment (:data:`WEBHOOK`), since it is a secret; it is never shown.
Slack, Mattermost and most others take ``{"text": ...}``.
"""

from __future__ import annotations

import json
import logging
import os
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from prefect.client.schemas.objects import State

WEBHOOK = "QUINR_ALERT_WEBHOOK"
"""Environment variable with an http(s) address; nothing is sent where it is not set."""

_SECONDS = 10


def alert(flow: Any, run: Any, state: State) -> None:
    """Send how a flow run ended, unless it ended well; a hook of Prefect's flows.

    An alert that does not get through is logged, and changes nothing else.

    Args:
        flow: The flow, whose name is in the message.
        run: The flow run. One that another flow called sends nothing: that flow does.
        state: How the run ended.
    """
    address = os.environ.get(WEBHOOK)
    called = getattr(run, "parent_task_run_id", None) is not None
    if not address or called or state.name == "Completed":
        return
    text = f"{flow.name} ({run.name}): {state.name}: {state.message or 'no message'}"
    try:
        _post(address, {"text": text, "flow": flow.name, "run": str(run.id), "state": state.name})
    except Exception as error:
        # The error's own text may hold the address.
        logging.getLogger(__name__).warning("no alert was sent: %s", type(error).__name__)


def _post(address: str, message: dict[str, Any]) -> None:
    if urlsplit(address).scheme not in ("http", "https"):
        raise ValueError(f"{WEBHOOK}: expected an http or https address")
    request = Request(  # noqa: S310 (the scheme is checked above)
        address, json.dumps(message).encode(), {"Content-Type": "application/json"}
    )
    with urlopen(request, timeout=_SECONDS):  # noqa: S310
        pass


ALERTS: dict[str, Any] = {
    "on_failure": [alert],
    "on_crashed": [alert],
    "on_cancellation": [alert],
    # Some failed, but not too many: Prefect calls that completed.
    "on_completion": [alert],
}
"""Arguments of a flow that sends alerts: ``@flow(..., **ALERTS)``."""
