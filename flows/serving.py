"""The nightly run as a deployment that this process serves."""

from __future__ import annotations

from typing import Any

from prefect import serve
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType

from flows.nightly import nightly


def serve_nightly(name: str, cron: str, timezone: str, parameters: dict[str, Any]) -> None:
    """Serve :func:`flows.nightly.nightly` until the process is stopped.

    One run at a time: what is due while another one runs is not started.

    Args:
        name: Name of the deployment.
        cron: When to run, as a cron expression.
        timezone: Time zone of ``cron``.
        parameters: Parameters of every run.
    """
    deployment: Any = nightly.to_deployment(
        name,
        schedules=[Cron(cron, timezone=timezone)],
        parameters=parameters,
        tags=["quinr"],
        description="Archive the inbox, verify, report.",
        # The module, since the folder in which a person started this need not have the sources.
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    serve(deployment, limit=1)
