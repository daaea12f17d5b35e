"""``quinr-flows archive`` and ``quinr-flows restore``: one sequence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.options import (
    Archives,
    NScans,
    Resume,
    check_executor,
    finish,
)
from flows.parameters import RUN_FRAMES
from pipeline.archive.target import resolve_target
from pipeline.cli.config_options import options_from
from pipeline.cli.console import Json, SequenceName, print_json, print_table
from pipeline.config.archive_config import ArchiveConfig, RunConfig
from pipeline.datasets import open_dataset
from pipeline.datasets.cloud_files import KINDS, VELODYNE
from pipeline.nightly.inbox import check_settings
from pipeline.sequence.records import read_record
from pipeline.sequence.sequence import restore_jobs, table_rows
from pipeline.storage.lock import check_unlocked


@options_from(ArchiveConfig(), file=True)
def archive(
    source: Annotated[
        Path,
        typer.Argument(metavar="SOURCE", help="A data set, sequence, drive or folder of scans."),
    ],
    archive: Archives,
    config: ArchiveConfig,
    sequence: SequenceName = None,
    n_scans: NScans = None,
    resume: Resume = True,
    json: Json = False,
) -> None:
    """Archive a sequence and pack it; run it again to go on where it stopped.

    The default profile, bounded, keeps every range to within 2 cm; `--profile paper` writes
    previews of a few hundred bytes.
    Example: `quinr-flows archive kitti/odometry archive --sequence 00 --max-error 0.05 -j 4`
    """
    # Bad input ends the command before a server starts for the flow.
    config = config.with_absolute_paths()
    dataset = open_dataset(source, sequence)
    target = resolve_target(dataset, archive, config)
    check_unlocked(target.folder)
    if resume:
        check_settings(target.packed, target.settings)
    check_executor(config.run)

    from flows._prefect.server import start_server
    from flows.archive_sequence import archive_sequence

    start_server()
    state = archive_sequence(
        str(source), str(archive), config, sequence, n_scans, resume, return_state=True
    )
    # One after the other: a record is larger than its row, and there may be thousands.
    records = (read_record(target.folder, frame_id) for frame_id in dataset.frame_ids[:n_scans])
    rows = [row for record in records if record for row in table_rows([record])]
    if json:
        print_json({"state": state.name, "message": state.message, "frames": rows})
    else:
        print_table(rows, f"{target.folder}")
    finish(state, quiet=json)


@options_from(RUN_FRAMES, "run", file=False)
def restore(
    archive: Annotated[Path, typer.Argument(help="An archived sequence, or a folder of them.")],
    out: Annotated[Path, typer.Argument(help="Root of the restored data set.")],
    run: RunConfig,
    kind: Annotated[str, typer.Option("--as", help=f"One of {', '.join(KINDS)}.")] = VELODYNE,
) -> None:
    """Restore scans from an archive: as a KITTI data set, or as other files that hold clouds.

    Example: `quinr-flows restore archive/00 restored`, or
    `quinr-flows restore archive/00 clouds --as ply`
    """
    restore_jobs(archive, out, kind)
    check_executor(run)

    from flows._prefect.server import start_server
    from flows.restore_sequence import restore_sequence

    start_server()
    finish(restore_sequence(str(archive), str(out), run, kind, return_state=True))
