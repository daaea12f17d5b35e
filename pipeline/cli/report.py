"""``quinr report``: what an archive is worth, on a page to open."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from tqdm import tqdm

from pipeline.archive.originals import Originals
from pipeline.archive.reader import PackedSequence
from pipeline.cli.console import EXIT_PARTIAL, Json, SequenceName, bar_to, print_json, print_table
from pipeline.storage.locations import locate

if TYPE_CHECKING:
    from pipeline.report.archive_report import ReportFiles
    from pipeline.report.comparison import Comparison

app = typer.Typer(
    help="Pages about packed sequences: one file each, to open in any browser.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

FOLDER = "report"


@app.command()
def make(
    archive: Annotated[str, typer.Argument(help="A packed sequence: folder or URL.")],
    originals: Annotated[
        Path | None,
        typer.Option(metavar="SOURCE", help="Data set that it was made from, for pictures."),
    ] = None,
    sequence: SequenceName = None,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="Folder or URL; `report` in the archive by default."),
    ] = None,
    json: Json = False,
) -> None:
    """Write index.html, report.json and frames.csv about an archive.

    Without originals the page has the figures that were measured when frames were archived, and
    pictures of decoded frames only. With them, what `quinr-flows evaluate` has measured into the
    same folder so far joins the page. Exit code 1: frames failed, see the page.
    Example: `quinr report make archive/00 --originals kitti/odometry`
    """
    opened = PackedSequence.open(archive)
    dataset = None
    if originals is not None:
        dataset = Originals.open(originals, sequence, opened).dataset
    target = out or f"{archive.rstrip('/')}/{FOLDER}"
    # Plotting and its colours take a while to import.
    from pipeline.report.archive_report import write_report

    evaluation = None
    if originals is not None and locate(target).local:
        from pipeline.report.findings.evaluation import known_evaluation

        folder = Path(locate(target).path)
        evaluation = known_evaluation(archive, originals, folder, sequence)
    with tqdm(total=len(opened.rows), unit="frame", disable=json) as bar, _folder(target) as folder:
        written = write_report(
            opened,
            folder,
            evaluation=evaluation,
            originals=dataset,
            command=_command(),
            progress=lambda done, _: bar_to(bar, done),
        )
    _tell(written, target, json=json)


def _tell(written: ReportFiles, target: str, *, json: bool) -> None:
    report = written.report
    if json:
        print_json(
            {
                "report": f"{target}/{written.html.name}",
                "archive": report.archive.model_dump(mode="json"),
                "summary": report.summary.model_dump(mode="json"),
                "verdicts": [one.model_dump(mode="json") for one in report.verdicts],
            }
        )
    else:
        for verdict in report.verdicts:
            typer.echo(f"{verdict.state}: {verdict.text}")
        typer.echo(f"{target}/{written.html.name}")
    if report.summary.failed:
        raise typer.Exit(EXIT_PARTIAL)


@app.command()
def compare(
    reports: Annotated[
        list[str],
        typer.Argument(help="Two or more: folders of reports, or archives with one; or URLs."),
    ],
    out: Annotated[
        str, typer.Option("--out", "-o", help="Folder or URL of the comparison.")
    ] = "compare",
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Even if they are of different drives.")
    ] = False,
    json: Json = False,
) -> None:
    """Put reports of the same drive side by side: index.html and compare.json.

    Example: `quinr report compare max_error-2cm/00 max_error-10cm/00 previews/00 --out compare`
    """
    from pipeline.report.comparison import compare
    from pipeline.report.document import read_report
    from pipeline.report.page.comparison_page import write_comparison

    found = compare([read_report(one) for one in reports], anyway=anyway)
    with _folder(out) as folder:
        written = write_comparison(found, folder, _command())
    if json:
        print_json(found.as_dict(_command()))
        return
    print_table(_rows(found), "compared")
    for text in (*found.differences, *found.notes):
        typer.echo(text)
    typer.echo(f"{out}/{written.html.name}")


def _rows(found: Comparison) -> list[dict[str, Any]]:
    """A row a report, for a terminal."""
    from pipeline.facts.units import unit_for
    from pipeline.report.comparison import COLUMNS

    rows: list[dict[str, Any]] = [{"": label} for label in found.labels]
    for column in COLUMNS:
        values = [column.read(report.summary) for report in found.reports]
        unit = unit_for(column.figure.kind, values, smallest=True)
        head = f"{column.figure.title} [{unit.symbol}]" if unit.symbol else column.figure.title
        for row, value in zip(rows, values, strict=True):
            row[head] = None if value is None else value * unit.factor
    return rows


@contextmanager
def _folder(target: str) -> Iterator[Path]:
    """A local folder to write to; what is then in it goes where it was wanted."""
    place = locate(target)
    if place.local:
        yield Path(place.path)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
        for file in sorted(Path(folder).iterdir()):
            (place / file.name).write(file.read_bytes())


def _command() -> str:
    """What a person typed, the program by its name only."""
    return shlex.join(["quinr", *sys.argv[1:]])
