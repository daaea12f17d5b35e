"""Journals: what a crash, a full disk or a closed folder may do to them."""

from __future__ import annotations

import errno
import os

import pytest

from pipeline.search.trials import Outcome
from pipeline.storage.journal import Journal
from quinr_lidar.errors import StorageError


def test_a_journal_takes_lines_after_one_cut_short(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_bytes('{"key": "cut sh\u00f6'.encode()[:-1])
    Journal(path, Outcome).add(Outcome("abc", psnr_db=1.0))
    trial_outcomes = Journal(path, Outcome).entries
    assert list(trial_outcomes) == ["abc"]


def test_what_is_added_is_found_and_the_last_of_a_key_counts(tmp_path):
    path = tmp_path / "new" / "journal.jsonl"
    journal = Journal(path, Outcome)
    assert not path.parent.exists()  # reading makes nothing
    journal.prepare()
    assert path.read_bytes() == b""
    for psnr in (1.0, 2.0):
        journal.add(Outcome("abc", psnr_db=psnr))
    assert journal.entries == {"abc": Outcome("abc", psnr_db=2.0)}
    assert Journal(path, Outcome).entries == journal.entries
    assert len(path.read_text().splitlines()) == 2


def test_what_cannot_be_written_is_known_before_work_begins(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file"):
        Journal(tmp_path / "file" / "journal.jsonl", Outcome).prepare()
    (tmp_path / "journal").mkdir()
    with pytest.raises(StorageError, match="journal"):
        Journal(tmp_path / "journal", Outcome)


def test_a_full_disk_is_a_storage_error(tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pipeline.storage.journal.os.fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        Journal(tmp_path / "journal.jsonl", Outcome).add(Outcome("abc"))
