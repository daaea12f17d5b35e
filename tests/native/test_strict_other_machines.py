"""Strict results on other machines (arm64 is emulated) and by other compilers: the same bits.

The checksums belong to the format of files: where one changes, files no longer decode.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NATIVE = HERE.parents[1] / "quinr_lidar" / "native"
LANES = NATIVE / "strict" / "lanes.cpp"
SOURCES = (
    HERE / "strict_checksum.cpp",
    *(
        NATIVE / "strict" / f"{name}.cpp"
        for name in ("adaptive", "conditional_field", "mask", "ranges")
    ),
)
FLAGS = ["-std=c++17", "-Wno-psabi", "-ffp-contract=off", "-DQUINR_STRICT", "-DQUINR_ISA=baseline"]
CHECKSUMS = {
    "fields": "7ca153874ac11bb4",
    "functions": "ef784062442a294b",
    "constants": "8b1174a151fd0a60",
    "bytes": "d7ecf5abe6c1bdc7",
    "layers": "7cbcfa6efd75faea",
}

EMULATOR = ("qemu-aarch64-static",)

pytestmark = pytest.mark.slow


def checksums(
    folder: Path,
    compiler: str,
    *flags: str,
    lanes: tuple[str, ...] = (),
    runner: tuple[str, ...] = (),
) -> dict:
    """What the program prints; ``lanes`` are flags of what is compiled for wide vectors."""
    missing = [name for name in (compiler, *runner) if shutil.which(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    program, part = folder / "strict_checksum", folder / "lanes.o"
    command = [compiler, *FLAGS, *flags, f"-I{NATIVE}"]
    subprocess.run([*command, *lanes, "-c", str(LANES), "-o", str(part)], check=True)
    subprocess.run([*command, *map(str, SOURCES), str(part), "-o", str(program)], check=True)
    done = subprocess.run([*runner, str(program)], check=True, capture_output=True, text=True)
    return dict(line.split() for line in done.stdout.splitlines())


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
@pytest.mark.parametrize("optimisation", ["-O0", "-O3"])
@pytest.mark.parametrize("vector_bytes", [16, 64])
def test_compilers_agree(tmp_path, compiler, optimisation, vector_bytes):
    # Without the machine's wide vectors these are made of narrow ones.
    width = (f"-DQUINR_VECTOR_BYTES={vector_bytes}",)
    assert checksums(tmp_path, compiler, optimisation, lanes=width) == CHECKSUMS


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_fused_multiply_adds_are_left_alone(tmp_path, compiler):
    assert checksums(tmp_path, compiler, "-O3", "-march=native") == CHECKSUMS


def test_arm64_agrees(tmp_path):
    """Debian and Ubuntu: apt install g++-aarch64-linux-gnu qemu-user-static."""
    flags = ("-O3", "-static")
    assert checksums(tmp_path, "aarch64-linux-gnu-g++", *flags, runner=EMULATOR) == CHECKSUMS


def test_arm64_by_clang_agrees(tmp_path):
    if shutil.which("aarch64-linux-gnu-g++") is None:  # its headers and libraries
        pytest.skip("needs aarch64-linux-gnu-g++")
    flags = ("--target=aarch64-linux-gnu", "-O3", "-static")
    assert checksums(tmp_path, "clang++", *flags, runner=EMULATOR) == CHECKSUMS
