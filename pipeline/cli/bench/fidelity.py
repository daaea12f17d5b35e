"""``quinr bench fidelity``: the command."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline.cli.console import Json, print_json
from pipeline.datasets import Dataset, open_dataset
from pipeline.storage.files import write_atomically, write_json_atomically
from quinr_lidar.errors import DatasetError

if TYPE_CHECKING:
    from pipeline.benchmark.fidelity import BenchFrame

NAME = "fidelity"


def fidelity(
    source: Annotated[
        Path | None, typer.Argument(help="A data set of scans; a synthetic drive by default.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for fidelity.json and fidelity.md.")
    ] = None,
    sequence: Annotated[
        str | None, typer.Option(help="Sequence of a data set that has several.")
    ] = None,
    frames: Annotated[int, typer.Option(min=2, help="How many, from the first.")] = 40,
    max_error: Annotated[
        list[float], typer.Option(help="Metres; repeatable. 0.5 to 0.01 by default.")
    ] = [],  # noqa: B006 (typer copies it)
    preview: Annotated[
        str | None, typer.Option(help="Profile of the files without a bound; empty for none.")
    ] = "preview",
    repeats: Annotated[
        int, typer.Option(min=0, help="Odometry runs with noise, which tell what is chance.")
    ] = 5,
    json: Json = False,
) -> None:
    """Tell what decoded scans are still good for, by bound: distances, odometry, registration.

    Needs the extra evaluation; takes about ten seconds a frame.
    Example: `quinr bench fidelity kitti/odometry --sequence 00 -o data/fidelity`
    """
    with tempfile.TemporaryDirectory() as folder:
        if source is None:
            # Open3D takes seconds to import.
            from pipeline.datasets.synthetic import write_drive

            drive = write_drive(Path(folder), frames=frames)
        else:
            drive = source
        chosen = _frames(drive, sequence, frames)
        document = _run(chosen, max_error, preview or None, repeats, quiet=json)
    document["source"] = str(source or "synthetic drive")
    command = " ".join(
        [
            "quinr bench fidelity",
            *([] if source is None else ["SOURCE"]),
            f"--frames {len(chosen)} --repeats {repeats} --preview '{preview}'",
            *(f"--max-error {one:g}" for one in max_error),
        ]
    )
    from pipeline.benchmark.fidelity_page import page

    label = "A synthetic drive" if source is None else f"`{source.name}`"
    text = page(document, label, command)
    if out:
        write_atomically(out / f"{NAME}.md", text.encode())
        write_json_atomically(out / f"{NAME}.json", document)
    if json:
        print_json(document)
    else:
        typer.echo(text)


def _run(
    frames: Sequence[BenchFrame],
    max_errors: Sequence[float],
    preview: str | None,
    repeats: int,
    *,
    quiet: bool,
) -> dict[str, Any]:
    # torch takes seconds to import, and every command imports this module.
    from pipeline.benchmark.fidelity import BOUNDS, FidelityBench, baselines
    from pipeline.benchmark.fidelity_page import drift_verdict

    with tqdm(total=len(frames), desc="bench fidelity", unit="frame", disable=quiet) as bar:

        def advance() -> None:
            bar.update()

        chosen = baselines(max_errors or BOUNDS, preview)
        result = FidelityBench(frames, chosen, repeats, progress=advance).run()
    document = {
        "name": NAME,
        "description": "What decoded scans are good for, by profile and bound",
        **result,
    }
    return document | {"verdict": drift_verdict(document)}


def _frames(source: Path, sequence: str | None, count: int) -> list[BenchFrame]:
    """The first ones of a data set, with ground truth where it has any."""
    from pipeline.benchmark.fidelity import BenchFrame

    dataset = open_dataset(source, sequence)
    names = dataset.frame_ids[:count]
    if len(names) < 2:
        raise DatasetError(f"{source}: expected two frames at least, of one drive")
    poses = dataset.poses()
    return [BenchFrame(name, partial(_points, dataset, name), poses.get(name)) for name in names]


def _points(dataset: Dataset, name: str) -> NDArray[np.float32]:
    return dataset.read(name).points
