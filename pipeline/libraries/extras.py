"""Packages that the base install leaves out, and the extra that installs each."""

from __future__ import annotations

EXTRAS = {
    "torch": "train",
    "pydantic": "train",
    "tqdm": "train",
    "yaml": "train",
    "duckdb": "archive",
    "filelock": "archive",
    "fsspec": "archive",
    "mcap": "archive",
    "plyfile": "archive",
    "pyarrow": "archive",
    "pypcd4": "archive",
    "tenacity": "archive",
    "PIL": "viewer",
    "libusb_package": "viewer",
    "matplotlib": "viewer",
    "open3d": "viewer",
    "cv2": "evaluation",
    "jinja2": "evaluation",
    "kiss_icp": "evaluation",
    "plotly": "evaluation",
    "pykitti": "evaluation",
    "scipy": "evaluation",
    "small_gicp": "evaluation",
    "prefect": "flows",
    "DracoPy": "bench",
    "bjontegaard": "bench",
    "imagecodecs": "bench",
    "laspy": "bench",
    "pennylane": "bench",
    "psutil": "bench",
    "skimage": "bench",
    "prefect_dask": "dask",
    "prefect_ray": "ray",
    "rerun": "rerun",
    "s3fs": "s3",
}
"""From the name of an imported package to the extra that installs it."""


def install_hint(package: str) -> str:
    """The command that installs a package, by the name under which it is imported."""
    return f"pip install 'quinr-lidar[{EXTRAS[package]}]'"


def missing_extra(error: ModuleNotFoundError) -> str | None:
    """What to install after a failed import; ``None`` if the package belongs to no extra."""
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS:
        return None
    return f"needs {package}: {install_hint(package)}"
