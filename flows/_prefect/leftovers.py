"""Flow runs whose process was killed: Prefect shows them as running for ever, unless told."""

from __future__ import annotations

import logging
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.runtime import flow_run
from prefect.states import Crashed

from pipeline.storage.lock import Holder


def own_runs() -> str:
    """The ids of this flow run and of the one that called it, as a lock's note."""
    ids = (flow_run.id, flow_run.parent_flow_run_id)
    return " ".join(str(run) for run in ids if run)


def end_runs_of(holder: Holder | None) -> None:
    """Mark the flow runs of a killed process as crashed; where that fails, it only says so.

    Args:
        holder: From whom a lock was taken over, with :func:`own_runs` as its note.
    """
    if holder is None:
        return
    logger = logging.getLogger(__name__)
    logger.warning("process %d was killed; going on where it stopped", holder.pid)
    for run in holder.note.split():
        try:
            _mark_crashed(UUID(run), f"process {holder.pid} on {holder.host} was killed")
        except Exception as error:
            # Another server's run, say: nothing that the archive depends on.
            logger.warning("flow run %s was not marked as crashed: %s", run, error)


def _mark_crashed(run: UUID, reason: str) -> None:
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(run).state
        if state is None or not state.is_final():
            client.set_flow_run_state(run, Crashed(message=reason), force=True)
