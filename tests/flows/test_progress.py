from __future__ import annotations

import io
import json
import re
from datetime import datetime, timedelta

import pytest
from tqdm import tqdm

from flows._prefect import progress
from pipeline.nightly.verification import ArchiveRecord
from pipeline.sequence.records import FrameRecord
from quinr_lidar.errors import ProfileError


def records() -> list[FrameRecord]:
    good = [FrameRecord(str(i), "ok", fidelity={"encoded_bytes": 500_000}) for i in range(3)]
    return [*good, FrameRecord("3", "failed", error="3.bin: no scan")]


def test_a_log_file_gets_plain_lines(capfd):
    with progress.progress_of(5, "archive 00", "frame", pause=0) as report:
        for record in records():
            report(record)
    lines = capfd.readouterr().err.splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ archive 00: ", line) for line in lines)
    assert sum("3.bin: no scan" in line for line in lines) == 1
    last = lines[-1].partition(": ")[2]
    assert re.fullmatch(
        r"4/5 frames, 1 failed, [\d.e+]+ frames/s, 1\.5 MB, \d:\d\d:\d\d left", last
    )


def test_a_line_is_not_written_for_every_frame(capfd):
    with progress.progress_of(3, "archive 00", "frame") as report:
        for record in records()[:3]:
            report(record)
    assert len(capfd.readouterr().err.splitlines()) == 1


def test_nothing_to_do_is_no_error(capfd):
    with progress.progress_of(0, "verify", "archive"):
        pass
    assert "verify: 0/0 archives, 0 failed" in capfd.readouterr().err


class Terminal(io.StringIO):
    """A stderr that says it is one."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(tqdm, "monitor_interval", 0)
    with progress.progress_of(8, "archive 00", "frame") as report:
        for record in records():
            report(record)
    text = terminal.getvalue()
    assert "3.bin: no scan" in text
    last = text.rpartition("archive 00:")[2]
    wanted = r" +50%\|.*\| 4/8 \[\d\d:\d\d<\d\d:\d\d, +[\d.]+frame/s, failed=1, MB=1\.5\]\s*"
    assert re.fullmatch(wanted, last)


def test_slow_frames_have_a_rate_too():
    line = tqdm.format_meter(4, 10, 40, unit="frame", bar_format=progress._BAR)
    assert "4/10 [00:40<01:00,  0.10frame/s" in line


def test_programs_get_events(capfd, monkeypatch):
    monkeypatch.setenv("QUINR_LOG_FORMAT", "json")
    with progress.progress_of(5, "archive 00", "frame", pause=0) as report:
        for record in records():
            report(record)
    events = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    for event in events:
        assert datetime.fromisoformat(event.pop("time")).utcoffset() == timedelta(0)
    failures = [event for event in events if event["event"] == "failure"]
    assert failures == [
        {"event": "failure", "title": "archive 00", "frame": "3", "error": "3.bin: no scan"}
    ]
    first, last = events[0], events[-1]
    assert first["done"] == 1
    assert last.pop("rate") > 0
    assert last.pop("seconds_left") >= 0
    assert last == {
        "event": "progress",
        "title": "archive 00",
        "unit": "frame",
        "done": 4,
        "total": 5,
        "failed": 1,
        "bytes": 1_500_000,
    }


def test_an_event_before_the_first_frame_has_no_end_in_sight(capfd, monkeypatch):
    monkeypatch.setenv("QUINR_LOG_FORMAT", "json")
    with progress.progress_of(0, "verify", "archive"):
        pass
    (line,) = capfd.readouterr().err.splitlines()
    event = json.loads(line)
    assert (event["done"], event["rate"], event["seconds_left"]) == (0, 0, None)


def test_programs_get_events_on_a_terminal_too(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("QUINR_LOG_FORMAT", "json")
    with progress.progress_of(1, "verify", "archive") as report:
        report(ArchiveRecord("archive/00", "failed", "archive/00: damaged"))
    events = [json.loads(line) for line in terminal.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["failure", "progress"]
    assert events[0]["frame"] == "archive/00"


def test_an_unknown_format_is_refused(monkeypatch):
    monkeypatch.setenv("QUINR_LOG_FORMAT", "yaml")
    with (
        pytest.raises(ProfileError, match="QUINR_LOG_FORMAT=yaml: expected json or text"),
        progress.progress_of(1, "verify", "archive"),
    ):
        pass
