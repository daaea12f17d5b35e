"""What a user without a compiler is told."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_without_a_compiler_one_sentence_names_what_to_install(tmp_path):
    cmake = shutil.which("cmake")
    if cmake is None:
        pytest.skip("needs cmake")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("make", "ninja"):
        if found := shutil.which(name):
            (programs / name).symlink_to(found)
    environment = {name: value for name, value in os.environ.items() if name not in ("CC", "CXX")}
    done = subprocess.run(
        [cmake, "-S", str(ROOT), "-B", str(tmp_path / "build")],
        env=environment | {"PATH": str(programs)},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    said = " ".join(done.stderr.split())
    assert "needs a C++17 compiler to build its kernel and found none: install GCC or Clang" in said
    assert "apt install g++" in said
    assert said.count("CMake Error") == 1
