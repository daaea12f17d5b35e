"""Options that several benchmarks have, and what each of them does at its end."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from pipeline.cli.console import print_json
from pipeline.datasets import Dataset, open_dataset
from pipeline.storage.files import write_json_atomically
from quinr_lidar.errors import DatasetError

OutFile = Annotated[
    Path | None, typer.Option("--out", "-o", help="Write the JSON document to this file.")
]
OutFolder = Annotated[
    Path, typer.Option("--out", "-o", help="Folder of points, JSON and figure; OUT.md is the page.")
]
BaselineNames = Annotated[
    list[str], typer.Option("--baseline", help="Only this one, for instance siren; repeatable.")
]
MaxErrors = Annotated[
    list[float], typer.Option("--max-error", help="Largest error allowed, metres; repeatable.")
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Worker processes; all cores by default.")
]
Seeds = Annotated[int, typer.Option(min=1, help="Trainings whose mean counts.")]
Quick = Annotated[bool, typer.Option("--quick", help="A first look, with short trainings.")]
Source = Annotated[
    Path | None, typer.Argument(help="A data set of scans; a synthetic drive by default.")
]
SequenceName = Annotated[str | None, typer.Option(help="Sequence of a data set that has several.")]


@contextmanager
def drive_of(source: Path | None, sequence: str | None, frames: int) -> Iterator[Dataset]:
    """A data set, or a synthetic drive of so many frames.

    Raises:
        DatasetError: it has fewer than two frames.
    """
    with tempfile.TemporaryDirectory() as folder:
        if source is None:
            # Open3D takes seconds to import.
            from pipeline.datasets.synthetic import write_drive

            write_drive(Path(folder), frames=frames)
        dataset = open_dataset(source or Path(folder), sequence)
        if len(dataset.frame_ids) < 2:
            raise DatasetError(f"{source}: expected two frames at least, of one drive")
        yield dataset


@contextmanager
def progress(title: str, total: int | None, quiet: bool) -> Iterator[Callable[[object], None]]:
    """A progress bar; yields what is to be called with a line after every step."""
    with tqdm(total=total, desc=title, disable=quiet) as bar:

        def advance(line: object) -> None:
            bar.set_postfix_str(str(line))
            bar.update()

        yield advance


def finish(
    document: dict[str, Any], out: Path | None, as_json: bool, show: Callable[[], None]
) -> None:
    """Write the document, and print it as JSON or as ``show`` does."""
    if out:
        write_json_atomically(out, document)
    if as_json:
        print_json(document)
    else:
        show()
