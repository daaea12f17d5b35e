"""``quinr bench``: figures of this machine, as tables and as JSON."""

from __future__ import annotations

import typer

from pipeline.cli.commands import LazyCommand, lazy_group

HERE = "pipeline.cli.bench"
COMMANDS = (
    LazyCommand("paper", f"{HERE}.comparisons:paper", "Compare quINR with others at equal bytes."),
    LazyCommand("rate", f"{HERE}.comparisons:rate", "Compare bits for a guaranteed largest error."),
    LazyCommand("fidelity", f"{HERE}.archives:fidelity", "Tell what decoded scans are good for."),
    LazyCommand("nightly", f"{HERE}.archives:nightly", "Measure what a nightly run costs."),
    LazyCommand("shots", f"{HERE}.circuits:shots", "Count the shots that decoding needs."),
    LazyCommand("small-images", f"{HERE}.circuits:small_images", "Test QIREN's claims."),
    LazyCommand("kernel", f"{HERE}.circuits:kernel", "Time a training step on every simulator."),
    LazyCommand("fit", f"{HERE}.circuits:fit", "Time trainings until they are good enough."),
)

app = typer.Typer(
    cls=lazy_group(COMMANDS), help="Measure the software on this machine.", no_args_is_help=True
)
