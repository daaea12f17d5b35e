from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from quinr_lidar.entropy.models import EntropyModel
from tests.support.models import untaught

# Set before anything imports Prefect: tests have a home, and so a database, of their own.
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="quinr-tests-prefect-")
os.environ.pop("PREFECT_API_URL", None)

# A shell that starts tests in the background lets them, and all they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["tests.support.archived_drive"]

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def small_model() -> EntropyModel:
    """One that has learnt nothing: small fields of random parameters."""
    return untaught()


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Real scans and images; see data/README.md."""
    default = Path(__file__).parents[1].parent / "shared" / "data"
    root = Path(os.environ.get("QUINR_DATA", default))
    if not (root / "kitti").is_dir():
        pytest.skip(f"no real scans at {root}; set QUINR_DATA (see data/README.md)")
    return root


@pytest.fixture(scope="session")
def prefect_harness() -> Iterator[None]:
    """A Prefect server of its own for the session."""
    from prefect.testing.utilities import prefect_test_harness

    import flows  # noqa: F401 (its settings come before Prefect's import)

    with prefect_test_harness(server_startup_timeout=120):
        yield
