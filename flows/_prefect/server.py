"""The Prefect server that a command starts for itself, where none runs already."""

from __future__ import annotations

import signal
import threading
from contextlib import suppress

from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_EPHEMERAL_ENABLED


def start_server() -> None:
    """Start the server that a flow would start, but deaf to Ctrl-C.

    A terminal sends Ctrl-C to every process of a command. A server that ended with it could not be
    told how the flow ended, and Prefect would go on asking it for more than a minute. Does nothing
    where a server runs already. The process ends it at its exit.
    """
    if PREFECT_API_URL.value() or not PREFECT_SERVER_EPHEMERAL_ENABLED.value():
        return
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        return
    # A thread of its own: a child inherits the mask of the thread that starts it, and this one
    # must hear Ctrl-C meanwhile.
    starting = threading.Thread(target=_start_deaf, daemon=True)
    starting.start()
    starting.join()


def _start_deaf() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    with suppress(Exception):  # the flow tries again, and says why it cannot
        SubprocessASGIServer().start()
