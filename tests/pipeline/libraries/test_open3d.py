"""Importing Open3D: it works here, and a missing library is named with its package."""

from __future__ import annotations

import pytest

from pipeline.libraries.open3d import explain, import_open3d
from quinr_lidar.errors import BackendError


def test_open3d_imports() -> None:
    assert hasattr(import_open3d(), "t")


@pytest.mark.parametrize(
    ("library", "package"),
    [("libGL.so.1", "libgl1"), ("libX11.so.6", "libx11-6"), ("libgomp.so.1", "libgomp1")],
)
def test_missing_library_is_explained(
    monkeypatch: pytest.MonkeyPatch, library: str, package: str
) -> None:
    def fail(_name: str) -> None:
        raise OSError(f"{library}: cannot open shared object file: No such file or directory")

    monkeypatch.setattr("pipeline.libraries.open3d.importlib.import_module", fail)
    with pytest.raises(BackendError, match=f"{library}.*apt-get install {package}"):
        import_open3d()


def test_missing_open3d_is_explained() -> None:
    error = ModuleNotFoundError("No module named 'open3d'", name="open3d")
    assert explain(error) == "Open3D is not installed: pip install 'quinr-lidar[viewer]'"
