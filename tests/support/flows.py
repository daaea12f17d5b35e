"""Small inboxes of drives, and flows that run as functions, without Prefect's server."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import flows.archive_dataset
import flows.archive_sequence
import flows.evaluate_archive
import flows.nightly
import flows.verify_archive
from flows._prefect import chunks, progress_artifact
from flows.archive_sequence import archive_sequence
from flows.nightly import nightly
from flows.verify_archive import verify_archive
from pipeline.archive.layout import MANIFEST, MCAP
from pipeline.config.archive_config import ArchiveConfig, ExecutorConfig, RunConfig
from pipeline.datasets.velodyne import encode_velodyne
from pipeline.storage.files import sha256_of
from quinr_lidar.errors import QuinrError
from tests.support.tiny import tiny

if TYPE_CHECKING:
    # At run time only after flows, whose settings come before its own.
    from prefect.client.schemas.objects import State

SETTINGS = tiny(keyframe_interval=2)
HERE = RunConfig(workers=1, executor=ExecutorConfig(kind="threads"), timeout=0)
"""Jobs run one by one in this process: starting others takes most of a test's time."""
CONFIG = ArchiveConfig(overrides=SETTINGS, run=HERE)


class InlineTask:
    """Stands for Prefect's task of a chunk: does its work at once, without a server."""

    def with_options(self, **_: Any) -> InlineTask:
        return self

    def submit(self, work: Callable[[], Any], **_: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(work())
        except Exception as error:
            done.set_exception(error)
        return done


def make_plain(patch: pytest.MonkeyPatch) -> None:
    """Flows as functions: their bodies and jobs, without Prefect's server and without reports."""
    from prefect.states import Failed

    def called(*arguments: Any, return_state: bool = False, **options: Any) -> State:
        assert return_state
        try:
            return flows.archive_sequence.archive_sequence.fn(*arguments, **options)
        except QuinrError as error:
            return Failed(message=f"{type(error).__name__}: {error}")

    patch.setattr(chunks, "run_chunk", InlineTask())
    patch.setattr(chunks, "wait", lambda futures: None)
    shown = (flows.archive_sequence, flows.nightly, flows.evaluate_archive, flows.verify_archive)
    for module in (*shown, progress_artifact):
        for kind in ("table", "markdown", "link", "progress"):
            name = f"create_{kind}_artifact"
            if hasattr(module, name):
                patch.setattr(module, name, lambda **_: None)
    patch.setattr(flows.archive_dataset, "archive_sequence", called)
    # A page a drive takes longer than all the rest.
    patch.setattr(flows.nightly, "report_drives", lambda *_: {})


def write_drives(inbox: Path) -> Path:
    """Drive "a" of three scans and drive "b" of two, which have been there for long."""
    for drive, scans in (("a", 3), ("b", 2)):
        for index in range(scans):
            write_scan(inbox / drive / "velodyne" / f"{index:06d}.bin", index)
    return inbox


def write_scan(path: Path, seed: int, points: int = 400) -> None:
    """A scan of long ago; those of as many points have the same size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cloud = np.random.default_rng(seed).normal(scale=(15, 15, 1), size=(points, 3))
    path.write_bytes(encode_velodyne(cloud))
    os.utime(path, (1e9, 1e9))


def digests(folder: Path) -> dict[str, str]:
    """What is in a folder, byte for byte."""
    return {
        str(path.relative_to(folder)): sha256_of(path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def contents(folder: Path) -> dict[str, Any]:
    """All of an archived drive but how long its encoding took, and reports."""
    found: dict[str, Any] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder)
        if name.parts[0] == "records":
            found[str(name)] = json.loads(path.read_text()) | {"encode_seconds": None}
        elif path.suffix == ".parquet":
            found[str(name)] = pq.read_table(path).drop_columns(["encode_seconds"]).to_pylist()
        elif path.name == "metrics.csv":
            lines = [line.split(",") for line in path.read_text().splitlines()]
            place = lines[0].index("encode_seconds")
            found[str(name)] = [line[:place] + line[place + 1 :] for line in lines]
        elif name.parts[0] != "report":
            found[str(name)] = path.read_bytes()
    return found


def archive(inbox: Path, out: Path, drive: str = "a", **changes) -> State:
    config = CONFIG.model_copy(update=changes)
    return archive_sequence.fn(str(inbox / drive), str(out), config)


def run_nightly(inbox: Path, out: Path, retention: str = "delete") -> State:
    return nightly.fn(str(inbox), str(out), CONFIG, retention=retention, sample=0)


def packed(folder: Path) -> dict[str, str]:
    """An archive's two files, byte for byte."""
    return {name: digests(folder)[name] for name in (MCAP, MANIFEST)}


def refused(work: Callable[[], State]) -> str:
    """How work ended that could not be done."""
    try:
        state = work()
    except QuinrError as error:
        return str(error)
    assert state.is_failed(), state
    return state.message or ""


def verified(out: Path, originals: Path | None = None) -> list[str]:
    """What a verification of all archives complains about."""
    source = None if originals is None else str(originals)
    strict = HERE.model_copy(update={"max_failed_share": 0.0})
    state = verify_archive.fn(str(out), source, run=strict)
    return [] if state.is_completed() else [state.message or ""]
