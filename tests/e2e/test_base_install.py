"""What works without any extra: every package that only an extra installs is blocked here."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from flows.cli.main import COMMANDS as FLOWS
from pipeline.cli.commands import LazyCommand
from pipeline.cli.main import COMMANDS
from pipeline.libraries.extras import EXTRAS, INCLUDED, install_hint
from quinr_lidar import RangeImage, SphericalProjection, codec
from quinr_lidar.fields import Field, FourierField, QirenField, SirenField
from tests.support.tiny import tiny

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/quinr_lidar/codec/golden"
BLOCKED = sorted({*EXTRAS, "pandas", "sklearn", "ray", "dask"} - {"pydantic"})
"""Typer itself needs Pydantic in some versions."""

RUN = """
import json, sys
before = set(sys.modules)
sys.modules |= dict.fromkeys(sys.argv.pop(1).split(","))  # None: an import raises
code = 0
try:
    {work}
except SystemExit as ended:
    code = ended.code or 0
loaded = {{name.partition(".")[0] for name in sys.modules if sys.modules[name] is not None}}
print(json.dumps(sorted(loaded - {{n.partition(".")[0] for n in before}})), file=sys.stderr)
sys.exit(code)
"""
COMMAND = "from {module} import main; main()"


def run(
    work: str, arguments: Sequence[object] = (), blocked: Sequence[str] = BLOCKED
) -> subprocess.CompletedProcess[str]:
    """Python code in a process of its own, in which imports of some packages fail."""
    command = [sys.executable, "-c", RUN.format(work=work), ",".join(blocked)]
    return subprocess.run(
        [*command, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
    )


def quinr(*arguments: object, blocked: Sequence[str] = BLOCKED) -> subprocess.CompletedProcess[str]:
    return run(COMMAND.format(module="pipeline.cli.main"), arguments, blocked)


def loaded(finished: subprocess.CompletedProcess[str]) -> set[str]:
    """The packages that a successful run has imported."""
    assert finished.returncode == 0, finished.stderr
    return set(json.loads(finished.stderr.splitlines()[-1]))


def image() -> RangeImage:
    points = np.random.default_rng(0).normal(scale=(15, 15, 1), size=(5000, 3))
    return SphericalProjection(height=8, width=32).project(points)


BASELINES: dict[str, Field] = {
    "siren": SirenField(4, 2),
    "fourier-relu": FourierField(4, 5),
    "fourier-tanh": FourierField(4, 5, activation="tanh"),
    "qiren": QirenField(2, 1),
}

PREVIEWS = ("grids", "sine-layers", "every-option")
"""Golden files that hold a quINR and nothing else."""
KINDS = ["bounded", "mask", *PREVIEWS, *BASELINES]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """A file of every kind."""
    folder = tmp_path_factory.mktemp("files")
    paths = {name: GOLDEN / f"v1-{name}.quinr" for name in PREVIEWS}
    written = {
        name: codec.encode_frame(image(), field=field, **tiny()).data
        for name, field in BASELINES.items()
    }
    written["mask"] = codec.encode(image(), **tiny(layers=("preview", "mask")))
    written["bounded"] = codec.encode(image(), **tiny(layers=("preview", "mask", "ranges")))
    for name, data in written.items():
        paths[name] = folder / f"{name}.quinr"
        paths[name].write_bytes(data)
    return paths


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_the_top_screen_does_not_even_import_numpy(option):
    assert not loaded(quinr(option)) & {"numpy", "pydantic", *BLOCKED}


@pytest.mark.parametrize("command", ["decode", "info", "encode"])
def test_help_of_single_files_needs_no_extra(command):
    assert not loaded(quinr(command, "--help")) & set(BLOCKED)


@pytest.mark.parametrize("kind", KINDS)
def test_info(files, kind):
    finished = quinr("info", files[kind], "--json")
    assert not loaded(finished) & set(BLOCKED)
    expected = codec.inspect(files[kind].read_bytes())
    assert json.loads(finished.stdout)["kind"] == expected.kind
    if kind in BASELINES:
        assert expected.kind == kind


@pytest.mark.parametrize("kind", KINDS)
def test_decode(files, kind, tmp_path):
    out = tmp_path / "x.npy"
    assert not loaded(quinr("decode", files[kind], "-o", out)) & set(BLOCKED)
    decoded = codec.decode(files[kind].read_bytes())
    expected = np.where(decoded.valid, decoded.ranges, np.load(out))
    np.testing.assert_array_equal(np.load(out), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_python(files, kind, tmp_path):
    out = tmp_path / "x.npy"
    work = (
        "import quinr_lidar, numpy, pathlib; "
        "image = quinr_lidar.decode(pathlib.Path(sys.argv[1]).read_bytes()); "
        "numpy.save(sys.argv[2], image.ranges)"
    )
    assert not loaded(run(work, [files[kind], out])) & set(BLOCKED)
    np.testing.assert_array_equal(np.load(out), codec.decode(files[kind].read_bytes()).ranges)


def test_help_of_flows_needs_no_prefect():
    finished = run(COMMAND.format(module="flows.cli.main"), ["--help"])
    assert not loaded(finished) & set(BLOCKED)
    assert "nightly" in finished.stdout


@pytest.mark.parametrize(
    ("arguments", "package", "extra"),
    [
        (["encode", "scan.bin"], "torch", "train"),
        (["rd-search", "--help"], "tqdm", "train"),
        (["archive", "list", "."], "mcap", "archive"),
        (["decode", str(GOLDEN / "v1-picture.quinr"), "-o", "x.png"], "PIL", "viewer"),
        (
            ["decode", str(GOLDEN / "v1-grids.quinr"), "--device", "default.qubit"],
            "pennylane",
            "bench",
        ),
    ],
)
def test_a_missing_package_is_named_with_its_extra(arguments, package, extra):
    finished = quinr(*arguments, blocked=[package])
    assert finished.returncode == 2
    expected = f"quinr {arguments[0]} needs {package}: pip install 'quinr-lidar[{extra}]'"
    assert expected in finished.stderr.splitlines()


def test_a_broken_package_is_not_taken_for_a_missing_one():
    finished = quinr("info", GOLDEN / "v1-grids.quinr", blocked=["zstandard"])
    assert finished.returncode == 1
    assert "ModuleNotFoundError" in finished.stderr


IMPORTED_AS = {
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "rerun-sdk": "rerun",
    "scikit-image": "skimage",
}
UNNAMED = {"fastapi", "lazrs", "sqlalchemy"}
"""Packages that other packages import."""


def test_the_table_of_extras_is_that_of_the_project():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    found: dict[str, set[str]] = {}
    included: dict[str, set[str]] = {}
    for extra in extras.keys() - {"all", "dev"}:
        for requirement in extras[extra]:
            name, bracket, others = re.match(r"([\w-]+)(\[?)([\w,]*)", requirement).groups()
            if name == "quinr-lidar" and bracket:
                included[extra] = set(others.split(","))
            elif name not in UNNAMED:
                found.setdefault(IMPORTED_AS.get(name, name.replace("-", "_")), set()).add(extra)
    assert {package: set(listed) for package, listed in EXTRAS.items()} == found
    assert extras["all"] == [f"quinr-lidar[{','.join(sorted(extras.keys() - {'all', 'dev'}))}]"]
    for extra, others in INCLUDED.items():
        whole = set().union(*({one} | included.get(one, set()) for one in included[extra]))
        assert set(others) == whole


@pytest.mark.parametrize(
    ("package", "extra", "named"),
    [
        ("tqdm", None, "train"),
        ("tqdm", "archive", "archive"),
        ("mcap", "viewer", "viewer"),
        ("s3fs", "archive", "s3"),
        ("torch", "flows", "flows"),
    ],
)
def test_the_extra_of_the_command_is_named_where_it_has_the_package(package, extra, named):
    assert install_hint(package, extra) == f"pip install 'quinr-lidar[{named}]'"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_a_command_loads_with_its_extra_alone(command: LazyCommand):
    extras = {command.extra, *INCLUDED.get(command.extra or "", ())}
    others = [package for package in BLOCKED if not extras & set(EXTRAS.get(package, ()))]
    loaded(quinr(command.name, "--help", blocked=others))


@pytest.mark.parametrize("command", [*COMMANDS, *FLOWS], ids=lambda command: command.target)
def test_the_list_of_commands_shows_the_first_line_of_their_help(command: LazyCommand):
    assert command.load().help.strip().splitlines()[0] == command.help
