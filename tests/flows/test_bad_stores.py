"""Packed archives in a store that fails: a local S3 server behind a proxy of bad manners."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

from flows.archive_dataset import archive_dataset
from flows.nightly import nightly
from pipeline.archive.layout import MANIFEST, MCAP
from pipeline.archive.reader import PackedSequence
from pipeline.archive.verify import verify_archive
from pipeline.config.archive_config import ArchiveConfig
from pipeline.nightly.report import REPORT
from pipeline.nightly.retention import LIST
from pipeline.storage.locations import locate
from quinr_lidar.errors import StorageError
from tests.support import flows as support
from tests.support.flows import CONFIG, digests, write_scan

pytest.importorskip("s3fs")
pytest.importorskip("moto.server")

pytestmark = pytest.mark.usefixtures("plain")

PLACE = "s3://nights/drives"
PAUSES = [0.5, 1.0, 2.0, 4.0]
"""Seconds between the attempts at a request."""
PATIENCE = 3.0
"""Seconds until the library gives a request up: a busy machine's store takes one now and then."""


@dataclass
class Proxy:
    """Passes requests on to a server, but for those that are to go wrong.

    Attributes:
        url: The proxy's URL.
        target: Host and port of the server.
        faults: Method and path of requests that fail, how they do, and how many still have to.
        seen: Method and path of all requests.
    """

    url: str
    target: tuple[str, int]
    faults: list[tuple[str, str, int]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def fail(self, pattern: str, how: str, times: int) -> None:
        self.faults = [(pattern, how, times)]

    def fault(self, request: str) -> str | None:
        self.seen.append(request)
        for place, (pattern, how, times) in enumerate(self.faults):
            if times and re.search(pattern, request):
                self.faults[place] = (pattern, how, times - 1)
                return how
        return None


def handler_of(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            how = proxy.fault(f"{self.command} {self.path}")
            if how == "stall":
                # Longer than anyone waits for an answer.
                threading.Event().wait(2 * PATIENCE)
                self.close_connection = True
                return
            if how == "hang up":
                self.close_connection = True
                return
            if how is not None:
                self.reply(int(how), {}, b"<Error><Code>InternalError</Code></Error>")
                return
            server = HTTPConnection(*proxy.target, timeout=30)
            server.request(self.command, self.path, body, dict(self.headers))
            got = server.getresponse()
            data = got.read()
            self.reply(got.status, dict(got.getheaders()), data)
            server.close()

        def reply(self, status: int, headers: dict[str, str], data: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                    self.send_header(name, value)
            length = headers.get("Content-Length", str(len(data)))
            self.send_header("Content-Length", length if self.command == "HEAD" else str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer

        def log_message(self, *arguments: object) -> None:
            pass

    return Handler


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    """A store that can be told to fail; its address and credentials come from the environment."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    made = Proxy("", server.get_host_and_port())
    front = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(made))
    threading.Thread(target=front.serve_forever, daemon=True).start()
    made.url = f"http://127.0.0.1:{front.server_port}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", made.url)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        boto3.client("s3").create_bucket(Bucket="nights")
        yield made
    front.shutdown()
    front.server_close()
    server.stop()


@pytest.fixture(autouse=True)
def pauses(proxy, monkeypatch) -> Iterator[list[float]]:
    """Seconds that were waited between attempts, without waiting them; and an empty bucket.

    The libraries below try again too, for a minute and more; here they do so but once.
    """
    import s3fs

    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    options = {"read_timeout": PATIENCE, "retries": {"max_attempts": 0}}
    monkeypatch.setitem(fsspec.config.conf, "s3", {"config_kwargs": options})
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    s3fs.S3FileSystem.clear_instance_cache()
    yield waited
    proxy.faults = []
    store = locate(PLACE).fs
    if store.exists("nights/drives"):
        store.rm("nights/drives", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()


def config_for(packed: str = PLACE) -> ArchiveConfig:
    return CONFIG.model_copy(update={"packed": packed})


def archive(drives: Path, out: Path, packed: str = PLACE):
    return support.archive(drives, out, packed=packed)


def run_nightly(drives: Path, out: Path, packed: str = PLACE):
    return nightly.fn(str(drives), str(out), config_for(packed), retention="dry-run", sample=0)


def objects() -> dict[str, bytes]:
    """All that is in the bucket."""
    store = locate(PLACE).fs
    store.invalidate_cache()
    return {path: store.cat_file(path) for path in store.find("nights")}


def test_a_nightly_run_into_a_store(drives, tmp_path):
    originals = digests(drives)
    state = run_nightly(drives, tmp_path / "out")
    assert (state.name, state.message) == ("Completed", "2 drives: 2 archived")
    names = [f"nights/drives/{drive}/{name}" for drive in "ab" for name in (MCAP, MANIFEST)]
    assert sorted(objects()) == sorted(names)
    assert not (tmp_path / "out" / "a" / MCAP).exists()
    for drive in "ab":
        assert verify_archive(f"{PLACE}/{drive}", drives / drive).ok
        listed = (tmp_path / "out" / drive / LIST).read_text().splitlines()
        assert listed == [str(path) for path in sorted((drives / drive).rglob("*.bin"))]
    assert run_nightly(drives, tmp_path / "out").message == "2 drives: 2 complete"
    state = archive_dataset.fn(str(drives), str(tmp_path / "out"), config_for())
    assert state.message == "2 drives: 2 complete"
    assert digests(drives) == originals


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "fault", ["500", "stall", pytest.param("503", marks=SLOW), pytest.param("hang up", marks=SLOW)]
)
def test_errors_that_pass(drives, tmp_path, proxy, pauses, fault):
    proxy.fail("PUT .*frames.mcap", fault, 2)
    assert archive(drives, tmp_path / "out").name == "Completed"
    assert pauses[: len(PAUSES)] == PAUSES[: len(pauses)]
    assert 0 < len(pauses) <= len(PAUSES)
    assert verify_archive(f"{PLACE}/a", drives / "a").ok


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("500", "500|Internal"),
        pytest.param("stall", "[Tt]ime", marks=SLOW),
        pytest.param("hang up", "[Cc]onnection|closed", marks=SLOW),
    ],
)
def test_errors_that_stay_and_then_go(drives, tmp_path, proxy, pauses, fault, reason):
    archive(drives, tmp_path / "out")
    before = objects()
    write_scan(drives / "a" / "velodyne" / "000003.bin", 3)
    originals = digests(drives)
    proxy.fail("PUT ", fault, 99)
    state = archive(drives, tmp_path / "out")
    assert state.name == "NotPacked"
    said = state.message or ""
    assert said.startswith(f"{PLACE}/a/{MCAP}: cannot be written: ")
    assert said.endswith("(5 attempts)")
    assert re.search(reason, said)
    assert pauses == PAUSES
    proxy.faults = []
    assert objects() == before
    # What was encoded is there, and only packed.
    frames = digests(tmp_path / "out" / "a" / "frames")
    assert archive(drives, tmp_path / "out").name == "Completed"
    assert digests(tmp_path / "out" / "a" / "frames") == frames
    assert len(PackedSequence.open(f"{PLACE}/a").frame_ids) == 4
    assert digests(drives) == originals


@SLOW
def test_a_store_that_fails_when_the_manifest_is_written(drives, tmp_path, proxy):
    """Two objects cannot be replaced at once: the next run goes on from there."""
    archive(drives, tmp_path / "out")
    write_scan(drives / "a" / "velodyne" / "000003.bin", 3)
    originals = digests(drives)
    proxy.fail("PUT .*manifest", "500", 99)
    state = run_nightly(drives, tmp_path / "out")
    assert f"{PLACE}/b/{MANIFEST}: cannot be written" in (tmp_path / "out" / REPORT).read_text()
    assert state.is_failed()
    assert digests(drives) == originals
    proxy.faults = []
    assert not any((tmp_path / "out" / drive / LIST).exists() for drive in "ab")
    assert run_nightly(drives, tmp_path / "out").message == "2 drives: 2 archived"
    assert all(verify_archive(f"{PLACE}/{drive}", drives / drive).ok for drive in "ab")


def test_a_store_that_cannot_be_read_proves_nothing(drives, tmp_path, proxy):
    run_nightly(drives, tmp_path / "out")
    (tmp_path / "out" / "a" / LIST).unlink()
    originals, before = digests(drives), objects()
    proxy.fail("GET .*drives/a/frames.mcap", "500", 999)
    state = run_nightly(drives, tmp_path / "out")
    assert state.name == "CompletedWithFailures"
    report = (tmp_path / "out" / REPORT).read_text()
    assert re.search(r"s3://nights/drives/a/frames\.mcap: cannot be read: .*\(5 attempts\)", report)
    assert not (tmp_path / "out" / "a" / LIST).exists()
    proxy.faults = []
    assert digests(drives) == originals
    assert objects() == before


def test_a_bucket_that_is_not_there(drives, tmp_path):
    """Known before hours of encoding, not after."""
    originals = digests(drives)
    with pytest.raises(StorageError, match=r"s3://nobodys/drives/a: there is no bucket 'nobodys'"):
        archive(drives, tmp_path / "out", "s3://nobodys/drives")
    assert not (tmp_path / "out").exists()
    state = run_nightly(drives, tmp_path / "out", "s3://nobodys/drives")
    assert state.is_failed()
    assert "there is no bucket 'nobodys'" in (state.message or "")
    assert list((tmp_path / "out").glob("*/frames")) == []
    assert digests(drives) == originals


def test_who_may_not_ask_for_the_bucket_may_still_write(drives, tmp_path, proxy):
    proxy.fail("HEAD /nights($|\\?)", "403", 99)
    assert archive(drives, tmp_path / "out").name == "Completed"
    assert any(re.match("HEAD /nights($|\\?)", request) for request in proxy.seen)


def test_without_credentials(drives, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.delenv(name)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        patch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
        with pytest.raises(StorageError, match=r"s3://nights/drives/a.*: cannot be .*credentials"):
            archive(drives, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_credentials_in_a_url_are_refused_and_kept_nowhere(drives, tmp_path):
    with pytest.raises(StorageError, match="credentials belong into the environment") as caught:
        archive(drives, tmp_path / "out", "s3://KEY:SECRET@nights/drives")
    assert "SECRET" not in str(caught.value)
    state = run_nightly(drives, tmp_path / "out", "s3://KEY:SECRET@nights/drives")
    assert state.is_failed()
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert written
    assert not any(b"SECRET" in path.read_bytes() for path in written)
    assert "SECRET" not in (state.message or "")
