"""Alerts reach a webhook, tell no secrets, and never break a flow."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest
from prefect.states import Completed, Failed

from flows._prefect.alerts import WEBHOOK, alert
from flows.archive_dataset import archive_dataset
from flows.archive_sequence import archive_sequence
from flows.nightly import nightly
from flows.verify_archive import verify_archive

FLOW = SimpleNamespace(name="nightly")
RUN = SimpleNamespace(name="nightly inbox", id="7", parent_task_run_id=None)


@pytest.fixture
def received(monkeypatch) -> Iterator[list[dict]]:
    """What a webhook got; its address is in the environment."""
    messages: list[dict] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers["Content-Length"])
            messages.append(json.loads(self.rfile.read(length)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv(WEBHOOK, f"http://127.0.0.1:{server.server_port}/secret")
    yield messages
    server.shutdown()
    server.server_close()


def test_what_ends_badly_is_told(received):
    alert(FLOW, RUN, Failed(name="TooManyFailures", message="3/4 drives failed"))
    alert(FLOW, RUN, Completed(name="CompletedWithFailures", message="1/4 drives failed"))
    assert [message["state"] for message in received] == [
        "TooManyFailures",
        "CompletedWithFailures",
    ]
    assert received[0]["text"] == "nightly (nightly inbox): TooManyFailures: 3/4 drives failed"


def test_what_ends_well_or_was_called_by_another_flow_is_not(received):
    alert(FLOW, RUN, Completed(message="4 drives"))
    called = SimpleNamespace(name="archive", id="8", parent_task_run_id="9")
    alert(FLOW, called, Failed(message="the caller says it"))
    assert received == []


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/secret", "file:///etc/passwd", "secret"])
def test_an_alert_that_fails_changes_nothing_and_tells_no_address(monkeypatch, caplog, address):
    monkeypatch.setenv(WEBHOOK, address)
    alert(FLOW, RUN, Failed(message="why"))
    assert "no alert was sent" in caplog.text
    assert "secret" not in caplog.text
    assert "passwd" not in caplog.text


@pytest.mark.parametrize("flow", [archive_sequence, archive_dataset, verify_archive, nightly])
def test_flows_send_alerts_however_they_end(flow):
    for hooks in (flow.on_failure_hooks, flow.on_crashed_hooks, flow.on_completion_hooks):
        assert hooks == [alert]
