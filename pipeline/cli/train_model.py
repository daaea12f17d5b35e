"""``quinr train-model``: train an entropy model on scans of a sensor."""

from __future__ import annotations

import json as json_module
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

import quinr_lidar
from pipeline.cli.config_options import options_from
from pipeline.cli.console import Json, SequenceName, print_json, print_table
from pipeline.config.archive_config import ProjectionConfig
from pipeline.datasets import FrameSource
from pipeline.models.scans import ScanChoice, choose_scans, read_variants
from pipeline.models.training import ModelCost, ModelSettings, measure_model, train_model
from pipeline.storage.files import write_atomically
from quinr_lidar import SphericalProjection
from quinr_lidar.entropy.models import SUFFIX, EntropyModel, built_in_models
from quinr_lidar.errors import EntropyModelError
from quinr_lidar.training import FitProgress


@options_from(ProjectionConfig(), "view", file=False)
def train_model_command(
    sources: Annotated[list[Path], typer.Argument(help="Data sets, or single scans (.bin).")],
    out: Annotated[Path, typer.Option("--out", "-o", help=f"Entropy model to write ({SUFFIX}).")],
    sequence: SequenceName = None,
    frames: Annotated[int, typer.Option(min=1, help="Scans at most of each source.")] = 24,
    held_out: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of the scans to measure on.")
    ] = 0.2,
    measure: Annotated[
        list[Path],
        typer.Option(help="Data set or scan to measure on instead of held-out ones; repeatable."),
    ] = [],  # noqa: B006 (typer copies it)
    copies: Annotated[int, typer.Option(min=1, help="Turned and mirrored images of a scan.")] = 4,
    mask_steps: Annotated[int, typer.Option(min=1, help="Training steps of the mask.")] = 1500,
    range_steps: Annotated[int, typer.Option(min=1, help="Training steps of the ranges.")] = 3500,
    bits: Annotated[int, typer.Option(min=4, max=16, help="Bits of a parameter.")] = 10,
    seed: Annotated[int, typer.Option(help="Makes a run repeatable.")] = 0,
    json: Json = False,
    *,
    view: ProjectionConfig,
) -> None:
    """Train an entropy model for masks and bounded ranges, in about a minute.

    A .json file beside it says what it was trained on. Example:
    `quinr train-model my-drive -o my.qmodel`, then
    `quinr encode 000000.bin --max-error 0.02 --entropy-model my.qmodel`
    """
    if out.suffix != SUFFIX:
        raise EntropyModelError(f"{out}: expected a name that ends in {SUFFIX}")
    projection = view.spherical()
    choice = choose_scans(sources, sequence, frames, 0 if measure else held_out)
    if measure:
        choice = replace(choice, held_out=choose_scans(measure, sequence, frames, 0).training_set)
    settings = ModelSettings(mask_steps, range_steps, bits=bits, seed=seed)
    images = read_variants(choice.training_set, projection, copies, seed)
    if not images:
        raise EntropyModelError("no scan has a point with a range above 0 m, nothing to train on")
    with tqdm(total=mask_steps + range_steps, unit="step", disable=json) as bar:

        def advance(name: str, step: FitProgress) -> None:
            bar.set_description(f"entropy model, {name}", refresh=False)
            bar.set_postfix(bits=f"{step.loss:.3f}", refresh=False)
            bar.update()

        entropy_model = train_model(images, settings, advance)
    costs = _costs(entropy_model, choice, projection)
    about = _about(entropy_model, choice, settings, projection, copies) | {"held_out_cost": costs}
    write_atomically(out, entropy_model.data)
    write_atomically(out.with_suffix(".json"), (_text(about) + "\n").encode())
    if json:
        print_json(about | {"file": str(out)})
        return
    print_table(
        costs, f"{out}: {entropy_model.name}, {len(entropy_model.data):,} bytes, on held-out scans"
    )


def _costs(
    entropy_model: EntropyModel, choice: ScanChoice, projection: SphericalProjection
) -> list[dict[str, Any]]:
    """A row for the new entropy model and one for each built-in one."""
    images = read_variants(choice.held_out, projection, 1, 0)
    if not images:
        return []
    others = {f"built in: {name}": one for name, one in built_in_models().items()}
    return [
        _row(name, measure_model(one, images))
        for name, one in ({"new": entropy_model} | others).items()
    ]


def _row(name: str, cost: ModelCost) -> dict[str, Any]:
    bits = {
        f"bits/point at {100 * max_error:g} cm": round(value, 4)
        for max_error, value in cost.bits_per_point.items()
    }
    return {"entropy_model": name, "mask bytes": round(cost.mask_bytes, 1)} | bits


def _about(
    entropy_model: EntropyModel,
    choice: ScanChoice,
    settings: ModelSettings,
    projection: SphericalProjection,
    copies: int,
) -> dict[str, Any]:
    return {
        "entropy_model": entropy_model.name,
        "bytes": len(entropy_model.data),
        "software": quinr_lidar.__version__,
        "settings": vars(settings) | {"copies": copies},
        "projection": vars(projection),
        "training_set": [_scan(scan) for scan in choice.training_set],
        "held_out": [_scan(scan) for scan in choice.held_out],
    }


def _scan(scan: FrameSource) -> dict[str, str]:
    return {"file": "/".join(scan.path.parts[-4:]), "sha256": scan.sha256()}


def _text(about: dict[str, Any]) -> str:
    return json_module.dumps(about, indent=2)
