"""Packages that the base install leaves out, and the extras that install them."""

from __future__ import annotations

EXTRAS = {
    "pydantic": ("train", "archive"),
    "torch": ("train",),
    "tqdm": ("train", "archive"),
    "yaml": ("train", "archive"),
    "duckdb": ("archive",),
    "filelock": ("archive",),
    "fsspec": ("archive",),
    "mcap": ("archive",),
    "plyfile": ("archive",),
    "pyarrow": ("archive",),
    "pypcd4": ("archive",),
    "tenacity": ("archive",),
    "PIL": ("viewer", "evaluation"),
    "libusb_package": ("viewer",),
    "matplotlib": ("viewer", "evaluation"),
    "open3d": ("viewer",),
    "cv2": ("evaluation",),
    "jinja2": ("evaluation",),
    "kiss_icp": ("evaluation",),
    "plotly": ("evaluation",),
    "pykitti": ("evaluation",),
    "scipy": ("evaluation",),
    "small_gicp": ("evaluation",),
    "prefect": ("flows",),
    "DracoPy": ("bench",),
    "bjontegaard": ("bench",),
    "imagecodecs": ("bench",),
    "laspy": ("bench",),
    "pennylane": ("bench",),
    "psutil": ("bench",),
    "skimage": ("bench", "flows"),
    "prefect_dask": ("dask",),
    "prefect_ray": ("ray",),
    "rerun": ("rerun",),
    "s3fs": ("s3",),
}
"""From the name of an imported package to the extras that list it."""

INCLUDED = {
    "viewer": ("archive",),
    "evaluation": ("archive",),
    "flows": ("archive", "evaluation", "train", "viewer"),
    "bench": ("archive", "evaluation", "train", "viewer"),
}
"""The other extras that an extra installs."""


def install_hint(package: str, extra: str | None = None) -> str:
    """The command that installs a package.

    Args:
        package: The name under which it is imported.
        extra: The extra of the command that needs it, which is named where it has the package.
    """
    listed = EXTRAS[package]
    whole = extra is not None and {extra, *INCLUDED.get(extra, ())} & set(listed)
    return f"pip install 'quinr-lidar[{extra if whole else listed[0]}]'"


def missing_extra(error: ModuleNotFoundError, extra: str | None = None) -> str | None:
    """What to install after a failed import; ``None`` if the package belongs to no extra.

    Args:
        error: The failed import.
        extra: The extra of the command that needs it.
    """
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS:
        return None
    return f"needs {package}: {install_hint(package, extra)}"
