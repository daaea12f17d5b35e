"""The kernel beyond this machine: on arm64 (emulated), and under ThreadSanitizer."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
NATIVE = HERE.parents[1] / "quinr_lidar" / "native"
FLAGS = ["-std=c++17", "-Wno-psabi", "-ffp-contract=fast", "-pthread"]
BASELINE = ["-DQUINR_ISA=baseline", "-DQUINR_VECTOR_BYTES=16"]

pytestmark = pytest.mark.slow


def needs(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


def figures(folder: Path, compiler: str, *flags: str, runner: tuple[str, ...] = ()) -> np.ndarray:
    program = folder / "train"
    sources = [str(HERE / "train.cpp"), str(NATIVE / "kernel.cpp")]
    command = [compiler, *FLAGS, *flags, *BASELINE, f"-I{NATIVE}", *sources, "-o", str(program)]
    subprocess.run(command, check=True)
    done = subprocess.run([*runner, str(program)], check=True, capture_output=True, text=True)
    return np.array([line.split() for line in done.stdout.splitlines()], dtype=float)


def test_arm64_trains_alike(tmp_path):
    """Debian and Ubuntu: apt install g++-aarch64-linux-gnu qemu-user-static."""
    needs("g++", "aarch64-linux-gnu-g++", "qemu-aarch64-static")
    here = figures(tmp_path, "g++", "-O3")
    arm = figures(
        tmp_path, "aarch64-linux-gnu-g++", "-O3", "-static", runner=("qemu-aarch64-static",)
    )
    np.testing.assert_allclose(arm, here, rtol=0, atol=1e-3)
    assert here.shape == (9, 4)


def test_threads_do_not_race(tmp_path):
    needs("g++")
    alone = figures(tmp_path, "g++", "-O1")
    watched = figures(tmp_path, "g++", "-O1", "-g", "-fsanitize=thread")
    np.testing.assert_array_equal(watched, alone)
