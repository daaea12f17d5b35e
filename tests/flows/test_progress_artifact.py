"""The artifact that shows how far a flow is: now and then, and never a reason to fail."""

from __future__ import annotations

from uuid import UUID

import pytest

from flows._prefect import progress_artifact
from flows._prefect.progress_artifact import ProgressArtifact
from pipeline.sequence.records import FrameRecord

OK, BAD = FrameRecord("a", "ok"), FrameRecord("b", "failed", error="why")


@pytest.fixture
def shown(monkeypatch) -> list[tuple[float, str]]:
    """What was shown; seconds pass only when a test says so."""
    seen: list[tuple[float, str]] = []

    def create(*, progress: float, key: str, description: str) -> UUID:
        assert key == "progress-archive-00"
        seen.append((progress, description))
        return UUID(int=1)

    def update(artifact: UUID, progress: float, *, description: str) -> None:
        assert artifact == UUID(int=1)
        seen.append((progress, description))

    monkeypatch.setattr(progress_artifact, "create_progress_artifact", create)
    monkeypatch.setattr(progress_artifact, "update_progress_artifact", update)
    return seen


def test_it_is_shown_now_and_then_and_at_the_end(shown, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress_artifact.time, "monotonic", lambda: now[0])
    artifact = ProgressArtifact(4, "archive 00", "frame")
    artifact.report(OK)
    now[0] += 10
    artifact.report(BAD)
    artifact.report(OK)
    artifact.report(OK)
    assert shown == [
        (0.0, "archive 00: 0/4 frames, 0 failed"),
        (50.0, "archive 00: 2/4 frames, 1 failed"),
        (100.0, "archive 00: 4/4 frames, 1 failed"),
    ]


def test_a_server_that_is_gone_is_asked_once(shown, monkeypatch, caplog):
    def gone(*_: object, **__: object) -> None:
        shown.append((-1.0, "asked"))
        raise ConnectionError("gone")

    artifact = ProgressArtifact(2, "archive 00", "frame", pause=0)
    monkeypatch.setattr(progress_artifact, "update_progress_artifact", gone)
    artifact.report(OK)
    artifact.report(OK)
    assert shown[1:] == [(-1.0, "asked")]
    assert [record.message for record in caplog.records] == ["progress is not shown in Prefect"]
