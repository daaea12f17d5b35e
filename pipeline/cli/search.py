"""``quinr rd-search``: the best field for a size, found on one's own data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from pipeline.cli.console import Json, print_json, print_table
from pipeline.config.profile_files import write_profile
from pipeline.datasets.sources import read_source
from pipeline.jobs.workers import available_cores
from pipeline.search.candidates import SearchSpace, draw_candidates
from pipeline.search.halving import Ranked, halve
from pipeline.search.trials import Outcome
from pipeline.storage.journal import Journal
from quinr_lidar import Profile, RangeImage
from quinr_lidar.errors import DatasetError, ProfileError

PICTURE_FREQUENCIES = ((4.0, 4.0), (7.0, 7.0), (10.0, 10.0))
SHOWN = ("qubits", "features", "sine_layers", "blocks", "readout", "learning_rate", "frequencies")


def rd_search(
    sources: Annotated[list[Path], typer.Argument(help="Scans (.bin) or pictures; means count.")],
    target_bytes: Annotated[int, typer.Option("--bytes", help="Size of a file.", min=64)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Preset to write (.json).")],
    candidates: Annotated[int, typer.Option(min=1, help="Fields that are tried.")] = 54,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the preset's training.")] = 12000,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of the last candidates.")] = 3,
    seed: Annotated[int, typer.Option(help="Draws other candidates.")] = 0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; as many as cores by default.")
    ] = None,
    json: Json = False,
) -> None:
    """Search qubits, features, depth, blocks and read-out for a size; write a preset.

    Random fields train briefly, a third of them three times as long, and so on. Every outcome is
    kept beside the preset (.jsonl): a search that was stopped goes on where it was.
    Example: `quinr rd-search 000000.bin --bytes 350 -o my-350.json`, then
    `quinr encode 000001.bin --profile my-350.json`
    """
    if out.suffix != ".json":
        raise ProfileError(f"{out}: expected a name that ends in .json")
    space = SearchSpace(target_bytes, **_of_sources(sources))
    drawn = draw_candidates(space, candidates, seed)
    if not drawn:
        raise ProfileError(f"--bytes {target_bytes}: no field is as small")
    with tqdm(desc="rd-search", unit="trial", disable=json) as bar:

        def advance(line: str) -> None:
            bar.write(line)
            bar.update()

        ranked = halve(
            drawn,
            sources,
            Journal(out.with_suffix(".jsonl"), Outcome),
            steps=steps,
            seeds=seeds,
            workers=workers or available_cores(),
            progress=None if json else advance,
        )
    best = ranked[0]
    if best.psnr_db == float("-inf"):
        raise ProfileError(f"--bytes {target_bytes}: no candidate could be written in as few bytes")
    profile = Profile(name=out.stem).with_overrides(**best.settings, steps=steps)
    write_profile(out, profile)
    if json:
        print_json({"preset": str(out), "ranked": [_row(one) for one in ranked[:10]]})
    else:
        print_table([_row(one) for one in ranked[:10]], f"{out}: the first row")


def _of_sources(sources: list[Path]) -> dict[str, Any]:
    """What the sources have in common.

    Raises:
        DatasetError: nothing.
    """
    contents = [read_source(path).content for path in sources]
    if all(isinstance(content, RangeImage) for content in contents):
        return {}
    channels = {0 if isinstance(content, RangeImage) else content.ndim for content in contents}
    if len(channels) > 1:
        raise DatasetError("sources: expected scans only, grey pictures only, or RGB only")
    return {"channels": 3 if channels == {3} else 1, "frequencies": PICTURE_FREQUENCIES}


def _row(one: Ranked) -> dict[str, Any]:
    psnr = None if one.psnr_db == float("-inf") else round(one.psnr_db, 3)
    sizes = {
        name: str(one.settings[name]) if name == "frequencies" else one.settings[name]
        for name in SHOWN
        if name in one.settings
    }
    return {"psnr_db": psnr, "steps": one.steps} | sizes
