"""Jobs that hang, in processes and threads, and what a cluster's worker answers."""

from __future__ import annotations

import json
import logging
import pickle
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline.jobs.executors import (
    AttemptError,
    GaveUpError,
    JobTimeoutError,
    ThreadExecutor,
)
from pipeline.jobs.remote import Failure, apply_remotely, result_of
from pipeline.jobs.workers import ATTEMPTS, Workers
from quinr_lidar import __version__
from tests.support.jobs import Done, Task, attempt, attempts, tasks


def hang(job: Task) -> Done:
    """Jobs named "never" hang, those named "later" at first."""
    number = attempt(job)
    if job.name.startswith("never") or (job.name.startswith("later") and number == 1):
        time.sleep(600)
    return Done(job.name)


def has_ended(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc for processes")
def test_a_job_that_hangs_is_killed_and_tried_again(tmp_path):
    jobs = tasks(tmp_path, "never", "later", "fine", "well")
    with Workers(2, timeout=2) as workers:
        records = workers.run(hang, jobs)
    assert [record.status for record in records] == ["failed", "ok", "ok", "ok"]
    assert (records[0].error or "").endswith("never: no result after 2 s")
    tried = {job.name: attempts(tmp_path, job.name) for job in jobs}
    assert tried == {"never": ATTEMPTS, "later": 2, "fine": 1, "well": 1}
    hung = [int(path.read_text()) for path in (*tmp_path.glob("never.*"), tmp_path / "later.1")]
    deadline = time.monotonic() + 60
    while not all(map(has_ended, hung)):
        assert time.monotonic() < deadline, "a process that hung is still there"
        time.sleep(0.1)


def interrupt(workers: Workers[Done], folder: Path) -> None:
    """Ctrl-C while a job hangs; returns when nobody waits for it any more."""

    def wait_in_vain() -> None:
        with suppress(Exception):
            workers.run(hang, tasks(folder, "never"))

    waiting = threading.Thread(target=wait_in_vain)
    try:
        with workers:
            waiting.start()
            while not attempts(folder, "never"):
                time.sleep(0.05)
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        waiting.join(60)
    assert not waiting.is_alive()
    assert attempts(folder, "never") == 1


def test_after_ctrl_c_nobody_waits_for_a_process_that_hangs(tmp_path):
    interrupt(Workers(2), tmp_path)


def test_after_ctrl_c_nobody_waits_long_for_a_thread_that_hangs(tmp_path):
    interrupt(Workers(executors=[ThreadExecutor(0.1), ThreadExecutor(0.1)]), tmp_path)


def threads(count: int) -> list[ThreadExecutor]:
    return [ThreadExecutor() for _ in range(count)]


def test_a_thread_that_hangs_is_left_alone_and_not_doubled(tmp_path):
    with Workers(executors=threads(1), timeout=0.2) as workers:
        records = workers.run(hang, tasks(tmp_path, "never", "fine"))
    assert [record.status for record in records] == ["failed", "ok"]
    assert attempts(tmp_path, "never") == 1


def test_where_everything_hangs_the_rest_is_not_tried(tmp_path):
    jobs = tasks(tmp_path, "never1", "never2", "never3", "fine")
    seen: list[Done] = []
    with (
        pytest.raises(GaveUpError, match=r"3 jobs in a row gave no result within 0\.1 s"),
        Workers(executors=threads(1), timeout=0.1, on_record=seen.append) as workers,
    ):
        workers.run(hang, jobs)
    assert [record.status for record in seen] == ["failed"] * 3
    assert not list(tmp_path.glob("fine.*"))


def test_jobs_that_wait_for_a_worker_meanwhile_are_not_tried_either(tmp_path):
    hanging = [tasks(tmp_path, f"never{index}") for index in range(12)]

    def run(jobs: list[Task]) -> str:
        try:
            return workers.run(hang, jobs)[0].error or ""
        except GaveUpError:
            return "not tried"

    with Workers(executors=threads(2), timeout=0.2) as workers, ThreadPoolExecutor(12) as chunks:
        found = list(chunks.map(run, hanging))
    tried = {path.name.partition(".")[0] for path in tmp_path.iterdir()}
    # Three in a row, and what the other worker had begun by then.
    assert 3 <= len(tried) <= 4
    assert found.count("not tried") == 12 - len(tried)


def test_hanging_jobs_among_others_are_no_reason_to_give_up(tmp_path):
    names = ["never1", "never2", "a", "never3", "never4", "b"]
    with Workers(executors=threads(1), timeout=0.1) as workers:
        records = workers.run(hang, tasks(tmp_path, *names))
    assert [record.status for record in records] == ["failed", "failed", "ok"] * 2


def fail_at_first(job: Task) -> Done:
    if attempt(job) < int(job.name):
        raise TimeoutError("its own")
    return Done(job.name)


def test_threads_try_again_as_processes_do(tmp_path):
    with Workers(executors=threads(2), timeout=60) as workers:
        records = workers.run(fail_at_first, tasks(tmp_path, "1", "2", "3", "4"))
    assert [record.status for record in records] == ["ok", "ok", "ok", "failed"]
    assert "TimeoutError: its own" in (records[3].error or "")


def count_threads(job: Task) -> Done:
    import torch

    return Done(f"{torch.get_num_threads()} {threading.current_thread().name}")


def test_a_worker_process_uses_one_thread(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with Workers(1) as workers:
        (record,) = workers.run(count_threads, tasks(tmp_path, "a"))
    assert record.name.split()[0] == "1"


def test_jobs_run_side_by_side_with_one_thread_each(tmp_path):
    meeting = threading.Barrier(3, timeout=60)

    def meet(job: Task) -> Done:
        meeting.wait()
        return count_threads(job)

    import torch

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with Workers(executors=threads(3)) as workers:
            records = workers.run(meet, tasks(tmp_path, "a", "b", "c"))
    finally:
        torch.set_num_threads(before)
    assert {record.name.split()[0] for record in records} == {"1"}
    assert len({record.name for record in records}) == 3


LOADING = """
import sys, time
from pathlib import Path
from pipeline.jobs.executors import ThreadExecutor
from pipeline.jobs.workers import Workers
from tests.support.jobs import Done, tasks

def job(task):
    if task.name == "loads torch":
        import torch
    while "torch" not in sys.modules:
        time.sleep(0.001)
    return Done(task.name)

with Workers(executors=[ThreadExecutor(), ThreadExecutor()]) as workers:
    names = ["loads torch", "sees it half loaded", "starts meanwhile", "and this one"]
    print([record.status for record in workers.run(job, tasks(Path(), *names))])
"""


def test_jobs_start_while_another_thread_loads_torch():
    line = [sys.executable, "-c", LOADING]
    ended = subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)
    assert ended.stdout == "['ok', 'ok', 'ok', 'ok']\n", ended.stderr


def test_what_a_clusters_worker_answers(tmp_path):
    late, fine, four = tasks(tmp_path, "never", "fine", "4")
    answer = apply_remotely(__version__, hang, fine, 60)
    assert result_of(pickle.loads(pickle.dumps(answer)), 60) == Done("fine")
    answer = apply_remotely(__version__, fail_at_first, four, 60)
    assert pickle.loads(pickle.dumps(answer)) == Failure("TimeoutError: its own")
    with pytest.raises(AttemptError, match="its own"):
        result_of(answer, 60)
    answer = apply_remotely(__version__, hang, late, 0.1)
    with pytest.raises(JobTimeoutError, match=r"no result after 0\.1 s") as caught:
        result_of(answer, 0.1)
    assert caught.value.still_running
    answer = apply_remotely("0.0", hang, fine, 60)
    with pytest.raises(AttemptError, match=rf"has quinr-lidar {__version__}, expected 0\.0"):
        result_of(answer, 60)


def warn(job: Task) -> Done:
    logging.getLogger("library").warning("of %s\nin two lines", job.name)
    return Done(job.name)


def test_workers_log_json_where_it_is_wanted(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("QUINR_LOG_FORMAT", "json")
    with Workers(1) as workers:
        workers.run(warn, tasks(tmp_path, "a"))
    events = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [(event["event"], event["level"], event["message"]) for event in events] == [
        ("log", "WARNING", "of a\nin two lines")
    ]
