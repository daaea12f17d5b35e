"""``quinr bench shots``, ``small-images``, ``kernel`` and ``fit``: circuits and their training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from pipeline.benchmark import kernel as steps_of_training
from pipeline.benchmark import shots as measurements
from pipeline.benchmark.figures import draw_shots
from pipeline.benchmark.fit import bench_fit
from pipeline.benchmark.small_fields import families
from pipeline.benchmark.small_images import (
    CLAIMS,
    bench_small_images,
    load_pictures,
    most_trainings,
)
from pipeline.cli.bench.options import (
    OutFile,
    Seeds,
    SequenceName,
    Source,
    drive_of,
    finish,
    progress,
)
from pipeline.cli.console import Json, ProfileName, Settings, parse_settings, print_table
from pipeline.config.profile_files import find_profile
from pipeline.datasets import read_scan
from pipeline.jobs.workers import available_cores
from pipeline.storage.files import write_atomically
from quinr_lidar import SphericalProjection
from quinr_lidar.circuit import CircuitSpec


def shots(
    scan: Annotated[
        Path | None, typer.Argument(help="A velodyne .bin; a synthetic frame by default.")
    ] = None,
    qubits: Annotated[str, typer.Option(help="Numbers of qubits to compare.")] = "2,3,4,5,6,7",
    seeds: Seeds = 3,
    pixels: Annotated[int, typer.Option(min=1, help="Pixels decoded from shots.")] = 4096,
    noise_qubits: Annotated[int, typer.Option(min=1, help="Qubits of the noisy file.")] = 5,
    noise_pixels: Annotated[int, typer.Option(min=1, help="Pixels decoded with noise.")] = 256,
    profile: ProfileName = "paper",
    settings: Settings = [],  # noqa: B006 (typer copies it)
    out: OutFile = None,
    json: Json = False,
) -> None:
    """Count the measurements a quantum computer needs to decode a file, and what noise costs.

    Files of about 210 parameters, which differ in qubits; takes minutes. Beside the document OUT a
    figure is drawn, as .svg. Example: `quinr bench shots 000000.bin --qubits 3,4,5 -o shots.json`
    """
    try:
        numbers = tuple(int(part) for part in qubits.split(","))
    except ValueError:
        message = f"expected numbers, for instance 2,3,4, got {qubits!r}"
        raise typer.BadParameter(message, param_hint="--qubits") from None
    sizes = {"noise_qubits": noise_qubits, "noise_pixels": noise_pixels}
    wanted = measurements.ShotsSettings(numbers, seeds, pixels, **sizes)
    chosen = find_profile(profile).with_overrides(**parse_settings(settings))
    image = SphericalProjection().project(_points(scan))
    with progress("bench shots", wanted.steps, json) as advance:
        result = measurements.bench_shots(image, chosen, wanted, advance)
    result["source"] = str(scan or "synthetic frame")
    if out:
        write_atomically(out.with_suffix(".svg"), draw_shots(result))

    def show() -> None:
        names = ("qubits", "seed", "parameters", "total_bytes", "exact_db", "output_scale")
        names += ("mean_probability", "shots_needed", "shots_expected")
        rows = [{name: row[name] for name in names} for row in result["files"]]
        print_table(rows, f"shots to come within {result['tolerance_db']:g} dB, {result['source']}")
        if growth := result["growth"]:
            slope = f"2^({growth['slope']:.2f} n)"
            error = f"standard error {growth['standard_error']:.2f}"
            typer.echo(f"shots needed grow as {slope}, {error}")
        noise = result["noise"]
        title = f"noise: {noise['qubits']} qubits, {noise['pixels']} pixels"
        print_table(noise["runs"], title)

    finish(result, out, json, show)


def small_images(
    parameters: Annotated[
        int, typer.Option(min=100, help="Parameters for a picture, to within 5 %.")
    ] = 680,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the final trainings.")] = 4000,
    seeds: Seeds = 3,
    out: OutFile = None,
    json: Json = False,
) -> None:
    """Test whether QIREN beats classical fields of its size on 32 x 32 pictures, and quINR too.

    Takes hours of one core: QIREN trains on circuits of its own. Example:
    `quinr bench small-images -o small-images.json`
    """
    rivals = families(parameters)
    total = sum(most_trainings(rival, seeds) for rival in rivals)
    with progress("bench small-images", total, json) as advance:
        result = bench_small_images(load_pictures(), rivals, steps, seeds, advance)
    result["target_parameters"] = parameters

    def show() -> None:
        for task in CLAIMS:
            names = ("name", "parameters", "optimizer", "learning_rate")
            rows = [
                {name: entry[name] for name in names}
                | {f"{image} [1e-4]": 1e4 * own["mse"] for image, own in entry[task].items()}
                | {"seconds": entry["seconds"]}
                for entry in result["baselines"]
            ]
            print_table(rows, f"{task}: mean squared error, mean of {result['seeds']} seeds")
        for sentence in result["judgement"]:
            typer.echo(sentence)

    finish(result, out, json, show)


def kernel(
    qubits: Annotated[int, typer.Option(help="Number of qubits, n.")] = 4,
    features: Annotated[int, typer.Option(help="Sine features, M.")] = 24,
    blocks: Annotated[int, typer.Option(help="Uploads of the features, L.")] = 4,
    entangling_layers: Annotated[int, typer.Option(help="Layers of gates in a block, E.")] = 1,
    pixels: Annotated[int, typer.Option(min=1, help="Pixels of the image.")] = 65536,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of every simulator; all cores by default.")
    ] = None,
    out: OutFile = None,
    json: Json = False,
) -> None:
    """Time a training step on the kernel, on torch and on PennyLane.

    Takes about a minute. Example: `quinr bench kernel --threads 1 --json`
    """
    spec = CircuitSpec(qubits, features, blocks, entangling_layers)
    with progress("bench kernel", steps_of_training.PARTS, json) as advance:
        options: dict[str, Any] = {"threads": threads or available_cores(), "progress": advance}
        result = steps_of_training.bench_kernel(spec, pixels=pixels, **options)

    def show() -> None:
        machine, loop = result["machine"], result["mini_batch_step"]
        title = f"forward and backward, {pixels} pixels, {machine['threads']} threads"
        print_table(result["steps"], title)
        typer.echo(
            f"kernel: {result['gflops']:.1f} of {result['peak_gflops']:.1f} GFLOP/s, "
            f"{100 * result['fma_share']:.0f} % of the peak ({machine['instruction_set']})\n"
            f"training loop: {1e3 * loop['seconds']:.3f} ms for a step of {loop['pixels']} pixels, "
            "all included"
        )

    finish(result, out, json, show)


def fit(
    source: Source = None,
    sequence: SequenceName = None,
    profile: ProfileName = "paper",
    settings: Settings = [],  # noqa: B006 (typer copies it)
    seeds: Seeds = 2,
    out: OutFile = None,
    json: Json = False,
) -> None:
    """Time trainings until they are as good, to 0.1 dB, as one ten times as long.

    Cold and warm, by each optimiser, on one thread; takes minutes.
    Example: `quinr bench fit kitti/odometry --sequence 00`
    """
    chosen = find_profile(profile).with_overrides(**parse_settings(settings))
    with drive_of(source, sequence, 2) as dataset, progress("bench fit", None, json) as advance:
        clouds = (dataset.read(name).points for name in dataset.frame_ids[:2])
        first, second = (SphericalProjection().project(points) for points in clouds)
        result = bench_fit((first, second), chosen, range(seeds), advance)
    result["source"] = str(source or "synthetic drive")
    title = f"{result['parameters']} parameters, {result['source']}"
    finish(result, out, json, lambda: print_table(result["fits"], title))


def _points(scan: Path | None) -> NDArray[np.floating]:
    if scan is not None:
        return read_scan(scan).points
    # Open3D takes seconds to import, and only the synthetic frame needs it.
    from pipeline.datasets.synthetic import scan_frame
    from pipeline.datasets.synthetic.drive import make_road

    return scan_frame(make_road(frames=1, seed=0), 0)
