"""``quinr synth``: a synthetic drive."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from pipeline.cli.console import bar_to
from pipeline.datasets.synthetic import write_drive


def synth(
    folder: Annotated[Path, typer.Argument(help="Root of the new KITTI odometry data set.")],
    frames: Annotated[int, typer.Option(help="Number of scans.", min=1)] = 10,
    seed: Annotated[int, typer.Option(help="Another seed, another street.", min=0)] = 0,
    sequence: Annotated[str, typer.Option(help="Name of the sequence.")] = "00",
) -> None:
    """Write a synthetic drive: an HDL-64E ray-cast through a street, as KITTI odometry.

    Example: `quinr synth drive --frames 20 --seed 3`
    """
    with tqdm(total=frames, desc="synthetic drive", unit="frame") as bar:
        write_drive(
            folder,
            frames=frames,
            seed=seed,
            sequence=sequence,
            progress=partial(bar_to, bar),
        )
    print(f"{folder}: sequence {sequence}, {frames} frames")
