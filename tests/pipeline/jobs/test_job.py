"""What is left of a job whose record cannot be kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.jobs.job import FileRecord
from pipeline.nightly.verification import ArchiveRecord, VerifyJob, check_archive
from pipeline.sequence.frames import RestoreJob
from pipeline.sequence.records import FrameRecord
from pipeline.storage.files import write_json_atomically
from quinr_lidar.errors import StorageError
from tests.support.archived_drive import digests


class RecordedVerification(VerifyJob):
    """A check of an archive that keeps its record in a folder that cannot be written."""

    def keep(self, record: ArchiveRecord) -> None:
        write_json_atomically(Path(self.where).parent / "blocked" / "record.json", {})


def test_an_archive_stays_when_the_record_of_its_verification_cannot_be_written(packed):
    (packed.parent / "blocked").write_text("a file where a folder is needed")
    job = RecordedVerification(str(packed))
    before = digests(packed)
    found = check_archive(job)
    assert found.status == "ok"
    record = job.finish(found)
    assert record.status == "failed"
    assert "record.json: cannot be written" in (record.error or "")
    assert digests(packed) == before


@dataclass(frozen=True)
class RecordedRestore(RestoreJob):
    """A restored scan whose record cannot be kept."""

    def keep(self, record: FrameRecord) -> None:
        raise StorageError("disk full")


@pytest.mark.parametrize(("status", "left"), [("ok", []), ("failed", ["a.bin"])])
def test_only_a_file_that_the_job_wrote_goes_with_its_record(tmp_path, status, left):
    job = RecordedRestore("a", tmp_path / "a.quinr", tmp_path / "a.bin")
    job.target.touch()
    record = job.finish(FrameRecord("a", status))
    assert (record.status, record.error) == ("failed", f"{job.source}: disk full")
    assert [path.name for path in tmp_path.iterdir()] == left


def test_only_records_of_files_have_the_facts_of_a_file():
    assert isinstance(FrameRecord("a", "ok"), FileRecord)
    assert not isinstance(ArchiveRecord("a", "ok"), FileRecord)
