"""``quinr-flows demo``: a synthetic drive, from end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything it makes.")] = Path("data/demo"),
    frames: Annotated[int, typer.Option(min=1, help="Scans of the synthetic drive.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another street.")] = 0,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Training steps a frame; the profile's by default.")
    ] = None,
    max_error: Annotated[
        float | None, typer.Option(metavar="METRES", help="Largest error of a range.")
    ] = None,
) -> None:
    """A synthetic drive: archive it, restore it, evaluate it; a table and a picture.

    Example: `quinr-flows demo --out data/demo --frames 3 --max-error 0.05`
    """
    from flows._prefect.server import start_server
    from flows.demo import run_demo

    start_server()
    run_demo(out, frames=frames, seed=seed, steps=steps, max_error=max_error)
