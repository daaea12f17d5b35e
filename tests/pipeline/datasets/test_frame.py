"""Where a scan lies: what jobs carry to other processes."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from pipeline.datasets.single_file import scan_file
from pipeline.datasets.velodyne import encode_velodyne
from pipeline.storage.files import sha256_of
from quinr_lidar.errors import ScanError, StorageError


def test_a_source_travels_and_agrees_with_what_it_reads(tmp_path):
    path = tmp_path / "000007.bin"
    path.write_bytes(encode_velodyne(np.ones((5, 4))))
    source = pickle.loads(pickle.dumps(replace(scan_file(path), timestamp=2.5)))
    frame = source.read()
    assert (frame.frame_id, frame.timestamp) == ("000007", 2.5)
    assert (frame.sha256, frame.raw_bytes) == (sha256_of(path.read_bytes()), 80)
    assert (source.sha256(), source.size()) == (frame.sha256, frame.raw_bytes)
    assert source.changed() == path.stat().st_mtime
    assert str(source) == str(path)


def test_what_is_no_scan_still_has_an_identity(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc\n")
    assert scan_file(path).sha256() == sha256_of(b"abc\n")
    with pytest.raises(ScanError, match=r"a\.bin"):
        scan_file(path).read()


@pytest.mark.parametrize("ask", ["read", "sha256", "size", "changed"])
def test_a_file_that_is_gone_is_named(tmp_path, ask):
    with pytest.raises(StorageError, match=r"a\.bin: cannot be read: No such file"):
        getattr(scan_file(tmp_path / "a.bin"), ask)()
