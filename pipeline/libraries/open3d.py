"""Importing Open3D on machines that lack the system libraries it links against.

Open3D's wheel expects libusb on the system; the PyPI package ``libusb-package`` carries it, so
it is loaded from there first. The other libraries come from the system only.
"""

from __future__ import annotations

import ctypes
import importlib
from types import ModuleType

from pipeline.libraries.extras import install_hint
from quinr_lidar.errors import BackendError

DEBIAN_PACKAGES = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libX11.so.6": "libx11-6",
    "libgomp.so.1": "libgomp1",
    "libusb-1.0.so.0": "libusb-1.0-0",
}
"""The Debian or Ubuntu package of each library that Open3D links against."""


def import_open3d() -> ModuleType:
    """Import Open3D.

    Returns:
        The ``open3d`` module.

    Raises:
        BackendError: Open3D is not installed, or a system library it needs is missing; the
            message says what to install.
    """
    _preload_libusb()
    try:
        return importlib.import_module("open3d")
    except (ImportError, OSError) as error:
        raise BackendError(explain(error)) from error


def explain(error: Exception) -> str:
    """Say what to install so that an import that failed with this error works."""
    reason = str(error)
    for library, package in DEBIAN_PACKAGES.items():
        if library in reason:
            return (
                f"Open3D needs {library}, which is not on this system; on Debian or Ubuntu: "
                f"apt-get install {package}"
            )
    if isinstance(error, ModuleNotFoundError) and error.name == "open3d":
        return f"Open3D is not installed: {install_hint('open3d')}"
    return f"Open3D cannot be imported: {reason}"


def _preload_libusb() -> None:
    import libusb_package

    path = libusb_package.get_library_path()
    # None: the package was built without the library, and the system's has to do.
    if path is not None:
        ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
