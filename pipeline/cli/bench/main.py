"""``quinr bench``: figures of this machine, as tables and as JSON."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from pipeline.benchmark.kernel import bench_kernel
from pipeline.benchmark.training import FitBench
from pipeline.cli.bench.comparisons import paper, rate
from pipeline.cli.bench.fidelity import fidelity
from pipeline.cli.bench.nightly import nightly
from pipeline.cli.bench.shots import shots
from pipeline.cli.bench.small_images import small_images
from pipeline.cli.console import (
    Json,
    ProfileName,
    Settings,
    parse_settings,
    print_json,
    print_table,
)
from pipeline.config.profile_files import find_profile
from pipeline.datasets import open_dataset
from pipeline.jobs.workers import available_cores
from pipeline.storage.files import write_json_atomically
from quinr_lidar import RangeImage, SphericalProjection
from quinr_lidar.circuit import CircuitSpec
from quinr_lidar.errors import DatasetError

app = typer.Typer(help="Measure the software on this machine.", no_args_is_help=True)
app.command()(shots)
app.command()(paper)
app.command()(rate)
app.command()(fidelity)
app.command()(nightly)
app.command(name="small-images")(small_images)

Out = Annotated[Path | None, typer.Option("--out", "-o", help="Write the JSON document here.")]


@app.command()
def kernel(
    qubits: Annotated[int, typer.Option(help="n.")] = 4,
    features: Annotated[int, typer.Option(help="Sine features, M.")] = 24,
    blocks: Annotated[int, typer.Option(help="Uploads of the features, L.")] = 4,
    entangling_layers: Annotated[int, typer.Option(help="A block, E.")] = 1,
    pixels: Annotated[int, typer.Option(min=1, help="Of the image.")] = 65536,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of every simulator; as many as cores by default.")
    ] = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Time a training step on the kernel, on torch and on PennyLane.

    Takes about a minute. Example: `quinr bench kernel --threads 1 --json`
    """
    spec = CircuitSpec(qubits, features, blocks, entangling_layers)
    with tqdm(total=7, desc="bench kernel", disable=json) as bar:

        def advance(name: str) -> None:
            bar.set_postfix_str(name)
            bar.update()

        result = bench_kernel(
            spec, pixels=pixels, threads=threads or available_cores(), progress=advance
        )
    if out:
        write_json_atomically(out, result)
    if json:
        print_json(result)
        return
    print_table(
        [
            {
                "simulator": step["simulator"],
                "pixels timed": step["pixels"],
                "ms an image": 1e3 * step["seconds_per_image"],
                "slower than the kernel": step["slower_than_kernel"],
            }
            for step in result["steps"]
        ],
        f"forward and backward, {pixels} pixels, {result['machine']['threads']} threads",
    )
    loop = result["mini_batch_step"]
    print(
        f"kernel: {result['gflops']:.1f} of {result['peak_gflops']:.1f} GFLOP/s, "
        f"{100 * result['fma_share']:.0f} % of the peak ({result['machine']['instruction_set']})\n"
        f"training loop: {1e3 * loop['seconds']:.3f} ms for a step of {loop['pixels']} pixels, "
        "all included"
    )


@app.command(name="fit")
def bench_fit(
    source: Annotated[
        Path | None,
        typer.Argument(help="A data set of two frames or more; a synthetic drive by default."),
    ] = None,
    sequence: Annotated[
        str | None, typer.Option(help="Sequence of a data set that has several.")
    ] = None,
    profile: ProfileName = "paper",
    settings: Settings = [],  # noqa: B006 (typer copies it)
    seeds: Annotated[int, typer.Option(min=1, help="Trainings whose mean counts.")] = 2,
    out: Out = None,
    json: Json = False,
) -> None:
    """Time trainings until they are as good, to 0.1 dB, as one ten times as long.

    Cold and warm, by each optimiser, on one thread; takes minutes.
    Example: `quinr bench fit kitti/odometry --sequence 00`
    """
    chosen = find_profile(profile).with_overrides(**parse_settings(settings))
    images = _two_frames(source, sequence)
    with tqdm(desc="bench fit", unit="length", disable=json) as bar:

        def advance(line: str) -> None:
            bar.write(line)
            bar.update()

        bench = FitBench(images, chosen, range(seeds), None if json else advance)
        result = bench.run()
    result["source"] = str(source or "synthetic drive")
    if out:
        write_json_atomically(out, result)
    if json:
        print_json(result)
    else:
        rows = [row | {"reached": "yes" if row["reached"] else "no"} for row in result["fits"]]
        print_table(rows, f"{result['parameters']} parameters, {result['source']}")


def _two_frames(source: Path | None, sequence: str | None) -> tuple[RangeImage, RangeImage]:
    if source is not None:
        return _project(source, sequence)
    # Open3D takes seconds to import, and only the synthetic drive needs it.
    from pipeline.datasets.synthetic import write_drive

    with tempfile.TemporaryDirectory() as folder:
        write_drive(Path(folder), frames=2, seed=0)
        return _project(Path(folder), None)


def _project(source: Path, sequence: str | None) -> tuple[RangeImage, RangeImage]:
    dataset = open_dataset(source, sequence)
    if len(dataset.frame_ids) < 2:
        raise DatasetError(f"{source}: expected two frames at least, to start one from the other")
    projection = SphericalProjection()
    first, second = (
        projection.project(dataset.read(name).points) for name in dataset.frame_ids[:2]
    )
    return first, second
