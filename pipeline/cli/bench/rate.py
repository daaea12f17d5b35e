"""``quinr bench rate``: bits for a guaranteed maximum error."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from tqdm import tqdm

from pipeline.benchmark.machine import describe_machine
from pipeline.cli.console import EXIT_PARTIAL, Json, print_json, print_table
from pipeline.storage.files import write_atomically, write_json_atomically
from quinr_lidar.errors import BackendError, DatasetError

if TYPE_CHECKING:
    from pipeline.benchmark.rate.measure import Row
    from pipeline.benchmark.rate.model_table import ModelRow
    from pipeline.benchmark.rate.run import Job

NAME, DESCRIPTION = "rate", "Bits for a guaranteed maximum error"
FIGURE, RESULTS, JOURNAL, MODELS = "rate.svg", "rate.json", "rate.jsonl", "models"


def rate(
    scans: Annotated[list[Path], typer.Argument(help="Velodyne scans (.bin).")],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Folder of rows, JSON and figure; OUT.md is the page."),
    ],
    max_error: Annotated[
        list[float],
        typer.Option(help="Largest error allowed, metres; repeatable. 0.005 to 0.5 by default."),
    ] = [],  # noqa: B006 (typer copies it)
    codec: Annotated[
        list[str], typer.Option(help="Only this one, for instance jpeg-xl; repeatable.")
    ] = [],  # noqa: B006
    entropy_models: Annotated[
        bool, typer.Option(help="Also what one entropy model for all bounds and its rounding cost.")
    ] = False,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes; more than one disturbs the seconds.")
    ] = 1,
    json: Json = False,
) -> None:
    """Compare quINR with JPEG XL, PNG, JPEG-LS, Draco, LASzip, zstd and JPEG 2000.

    For every codec and bound: bytes, bits a point, errors of what was decoded, seconds. Run it
    again to go on where it stopped: every row is kept beside the results. Exit code 1 if a row
    could not be measured.

    By name alone: quinr-unseen (with entropy models that have not seen the scan), quinr-field, mlp
    and context-mixing (code lengths of models), quinr-paper and quinr-preview (PSNR at equal
    bytes). Those that learn take minutes once, and the scans of the built-in entropy model.
    Example: `quinr bench rate 000000.bin 000001.bin -o data/rate --max-error 0.02 --max-error 0.1`
    """
    run = _import_run()
    jobs = run.plan(scans, codec, max_error or run.BOUNDS, out / MODELS)
    with tqdm(total=len(jobs), desc="bench rate", unit="row", disable=json) as bar:

        def advance(row: Row) -> None:
            bar.set_postfix_str(f"{row.scan} {row.codec}")
            bar.update()

        rows = run.run_jobs(jobs, out / JOURNAL, workers, advance)
    table = _model_rows(jobs, out / MODELS) if entropy_models else []
    command = ["quinr bench rate ... -o", out.name, *(f"--codec {name}" for name in codec)]
    command += [
        *(f"--max-error {one:g}" for one in max_error),
        *(["--entropy-models"] if entropy_models else []),
    ]
    document = _write(out, rows, table, _seen(jobs), " ".join(command))
    if json:
        print_json(document)
    else:
        _print(out, rows, _seen(jobs))
    if any(row.error for row in rows):
        raise typer.Exit(EXIT_PARTIAL)


def _import_run() -> Any:
    """The module that runs it, which needs packages of the extra ``bench``.

    Raises:
        BackendError: one of them is missing.
    """
    try:
        from pipeline.benchmark.rate import run
    except ModuleNotFoundError as error:
        raise BackendError(
            f"bench rate needs {error.name}, install it with: pip install 'quinr-lidar[bench]'"
        ) from error
    return run


def _seen(jobs: Sequence[Job]) -> set[str]:
    """Scans from which the built-in entropy model was made."""
    from pipeline.benchmark.rate.training_sets import provenance

    return {job.scan for job in jobs if job.digest in provenance().learnt}


def _model_rows(jobs: Sequence[Job], models: Path) -> list[ModelRow]:
    from pipeline.benchmark.rate.model_table import model_rows
    from pipeline.benchmark.rate.run import read_image
    from pipeline.benchmark.timing import torch_threads

    paths = {job.digest: job.path for job in jobs}
    seen = _seen(jobs)
    unseen = dict.fromkeys(job.path for job in jobs if job.scan not in seen)
    if not unseen:
        raise DatasetError(
            "--entropy-models needs a scan that the built-in entropy model was not made from"
        )
    with torch_threads(1):
        return model_rows(paths, [read_image(path) for path in unseen], models)


def _write(
    out: Path,
    rows: Sequence[Row],
    entropy_models: Sequence[ModelRow],
    seen: Collection[str],
    command: str,
) -> dict[str, Any]:
    # matplotlib takes a while to import.
    from pipeline.benchmark.rate.figure import draw_bits
    from pipeline.benchmark.rate.page import write_page
    from pipeline.benchmark.rate.registry import BASELINES
    from pipeline.benchmark.rate.summary import OURS, PEERS, curves, fair_rows, savings

    baselines = list(BASELINES.values())
    fair = fair_rows(rows, seen)
    document = {
        "name": NAME,
        "description": DESCRIPTION,
        "curves": curves(rows, baselines),
        "savings_percent": {
            peer: [vars(one) for one in savings(fair, OURS, peer)] for peer in PEERS
        },
        "scans_of_the_model": sorted(seen),
        "entropy_models": [row.as_dict() for row in entropy_models],
        "failures": [row.as_dict() for row in rows if row.error is not None],
        "machine": describe_machine(),
    }
    figure = str(Path(out.name) / FIGURE)
    page = write_page(rows, baselines, figure, command, seen, entropy_models)
    write_atomically(out / FIGURE, draw_bits(rows, baselines))
    write_atomically(_page_of(out), page.encode())
    write_json_atomically(out / RESULTS, document)
    return document


def _page_of(out: Path) -> Path:
    return out.with_name(out.name + ".md")


def _print(out: Path, rows: Sequence[Row], seen: Collection[str]) -> None:
    from pipeline.benchmark.rate.page import asked_for, layers_of
    from pipeline.benchmark.rate.summary import (
        MEANT,
        OURS,
        PEERS,
        fair_rows,
        mean_rows,
        measured_rows,
        saving_line,
    )

    several = len({row.scan for row in rows}) > 1
    shown = mean_rows(rows) if several else measured_rows(rows)
    table = [
        {"codec": row.codec, "asked for": asked_for(row)}
        | {name.replace("_", " "): getattr(row, name) for name in MEANT}
        | {"layers": layers_of(row) or None}
        for row in shown
    ]
    print_table(table, f"{_page_of(out)}" + (": means over scans" if several else ""))
    for row in rows:
        if row.error is not None:
            typer.echo(f"{row.scan} {row.codec} {asked_for(row)}: {row.error}", err=True)
    for peer in PEERS:
        typer.echo(saving_line(fair_rows(rows, seen), OURS, peer))
