"""Options that several benchmarks have, and what each of them does at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from pipeline.cli.console import print_json
from pipeline.storage.files import write_json_atomically
from quinr_lidar.errors import BackendError

OutFile = Annotated[
    Path | None, typer.Option("--out", "-o", help="Write the JSON document to this file.")
]
OutFolder = Annotated[
    Path, typer.Option("--out", "-o", help="Folder of points, JSON and figure; OUT.md is the page.")
]
BaselineNames = Annotated[
    list[str],
    typer.Option("--baseline", help="Only this one, for instance siren; repeatable."),
]
MaxErrors = Annotated[
    list[float], typer.Option("--max-error", help="Largest error allowed, metres; repeatable.")
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Worker processes; all cores by default.")
]
Seeds = Annotated[int, typer.Option(min=1, help="Trainings whose mean counts.")]
Quick = Annotated[bool, typer.Option("--quick", help="A first look, with short trainings.")]
SequenceName = Annotated[str | None, typer.Option(help="Sequence of a data set that has several.")]


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Say which extra to install where a package is missing.

    Raises:
        BackendError: a package is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        message = f"{error.name} is not installed: pip install 'quinr-lidar[{extra}]'"
        raise BackendError(message) from error


@contextmanager
def progress(title: str, total: int | None, quiet: bool) -> Iterator[Callable[[object], None]]:
    """A progress bar; yields what is to be called with a line after every step."""
    with tqdm(total=total, desc=title, disable=quiet) as bar:

        def advance(line: object = "") -> None:
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
