from __future__ import annotations

import re

import pytest

from flows import progress
from pipeline.records import FrameRecord


def records() -> list[FrameRecord]:
    good = [FrameRecord(str(i), "ok", fidelity={"encoded_bytes": 500_000}) for i in range(3)]
    return [*good, FrameRecord("3", "failed", error="3.bin: no scan")]


def test_a_log_file_gets_plain_lines(capfd, monkeypatch):
    monkeypatch.setattr(progress, "_PAUSE", 0)
    with progress.progress_of(5, "archive 00", "frame") as report:
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


def test_a_terminal_gets_a_bar(capfd, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    try:
        with progress.progress_of(4, "archive 00", "frame") as report:
            for record in records():
                report(record)
    except AttributeError:
        pytest.skip("this stderr cannot pretend to be a terminal")
    text = capfd.readouterr().err
    assert "4/4" in text
    assert "failed=1" in text
    assert "MB=1.5" in text
    assert "3.bin: no scan" in text
