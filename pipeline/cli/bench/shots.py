"""``quinr bench shots``: the command and its figure."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from tqdm import tqdm

from pipeline.cli.console import (
    Json,
    ProfileName,
    Settings,
    parse_settings,
    print_json,
    print_table,
)
from pipeline.config.profile_files import find_profile
from pipeline.datasets import read_scan
from pipeline.storage.files import write_atomically, write_json_atomically
from quinr_lidar import RangeImage, SphericalProjection

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

QUICK_STEPS = 300


def shots(
    scan: Annotated[
        Path | None, typer.Argument(help="A velodyne .bin; a synthetic frame by default.")
    ] = None,
    qubits: Annotated[str, typer.Option(help="Numbers of qubits to compare.")] = "2,3,4,5,6,7",
    seeds: Annotated[int, typer.Option(min=1, help="Trainings for each of them.")] = 3,
    pixels: Annotated[int, typer.Option(min=1, help="Of the image, decoded from shots.")] = 4096,
    noise_qubits: Annotated[int, typer.Option(min=1, help="Of the file decoded with noise.")] = 5,
    noise_pixels: Annotated[int, typer.Option(min=1, help="Decoded with noise.")] = 256,
    quick: Annotated[
        bool, typer.Option("--quick", help="Short trainings, one seed, few pixels with noise.")
    ] = False,
    profile: ProfileName = "paper",
    settings: Settings = [],  # noqa: B006 (typer copies it)
    figure: Annotated[
        Path | None, typer.Option(help="Draw the result here, as .svg or .png.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the JSON document here.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Count the measurements a quantum computer needs to decode a file, and what noise costs.

    Files of about 210 parameters, which differ in qubits; takes minutes.
    Example: `quinr bench shots 000000.bin --qubits 3,4,5 --figure shots.svg`
    """
    if figure and figure.suffix not in (".svg", ".png"):
        raise typer.BadParameter(f"expected .svg or .png, got {figure}", param_hint="--figure")
    # PennyLane takes seconds to import, and of all commands few need it.
    from pipeline.benchmark.shots import ShotsBench, ShotsSettings

    overrides = ({"steps": QUICK_STEPS} if quick else {}) | parse_settings(settings)
    wanted = ShotsSettings(
        qubits=_numbers(qubits),
        seeds=1 if quick else seeds,
        pixels=pixels,
        noise_qubits=noise_qubits,
        noise_pixels=min(noise_pixels, 32) if quick else noise_pixels,
    )
    with tqdm(total=wanted.steps, desc="bench shots", disable=as_json) as bar:

        def advance(line: str) -> None:
            bar.set_postfix_str(line)
            bar.update()

        chosen = find_profile(profile).with_overrides(**overrides)
        result = ShotsBench(_image(scan), chosen, wanted, advance).run()
    result["source"] = str(scan or "synthetic frame")
    if out:
        write_json_atomically(out, result)
    if figure:
        write_atomically(figure, _figure_bytes(shots_figure(result), figure.suffix[1:]))
    if as_json:
        print_json(result)
    else:
        _print(result)


def shots_figure(result: dict[str, Any]) -> Figure:
    """PSNR by shots for every number of qubits, and PSNR by noise.

    Args:
        result: Of :meth:`pipeline.benchmark.shots.ShotsBench.run`.

    Returns:
        A figure that no window manager knows of.
    """
    # Matplotlib is slow to import, and every command imports this module.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    _shots_panel(left, result)
    _noise_panel(right, result["noise"])
    return figure


def _shots_panel(axes: Axes, result: dict[str, Any]) -> None:
    """Means over seeds; a ring where the PSNR comes close enough."""
    for qubits in sorted({row["qubits"] for row in result["files"]}):
        rows = [row for row in result["files"] if row["qubits"] == qubits]
        psnr_db = np.mean([row["psnr_db"] for row in rows], axis=0)
        (line,) = axes.plot(result["shots"], psnr_db, marker=".", label=f"{qubits} qubits")
        needed = [row["shots_needed"] for row in rows if row["shots_needed"]]
        if needed:
            enough = np.mean([row["exact_db"] for row in rows]) - result["tolerance_db"]
            typical = np.exp(np.mean(np.log(needed)))
            axes.plot(typical, enough, "o", color=line.get_color(), fillstyle="none", ms=9)
    axes.set_xscale("log", base=2)
    axes.set_xlabel("shots for a pixel")
    axes.set_ylabel("PSNR [dB]")
    axes.set_title(f"rings: {result['tolerance_db']:g} dB below exact probabilities", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def _noise_panel(axes: Axes, noise: dict[str, Any]) -> None:
    """Both kinds of noise; the line is the file without any."""
    for name, label in (
        ("depolarizing", "depolarising, after every gate"),
        ("readout_error", "reading a bit wrongly"),
    ):
        rows = [row for row in noise["runs"] if row[name]]
        axes.plot(
            [row[name] for row in rows], [row["psnr_db"] for row in rows], marker="o", label=label
        )
    axes.axhline(noise["runs"][0]["psnr_db"], color="grey", linestyle="--", label="no noise")
    axes.set_xscale("log")
    axes.set_xlabel("probability of an error")
    axes.set_ylabel("PSNR [dB]")
    title = f"{noise['qubits']} qubits, {noise['pixels']:,} pixels, infinitely many shots"
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def _figure_bytes(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    # Without a date, the same figures draw the same file.
    figure.savefig(buffer, format=kind, dpi=110, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()


def _image(scan: Path | None) -> RangeImage:
    if scan is not None:
        return SphericalProjection().project(read_scan(scan).points)
    # Open3D takes seconds to import, and only the synthetic frame needs it.
    from pipeline.datasets.synthetic import scan_frame
    from pipeline.datasets.synthetic.drive import make_road

    return SphericalProjection().project(scan_frame(make_road(frames=1, seed=0), 0))


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        message = f"expected numbers, for instance 2,3,4, got {text!r}"
        raise typer.BadParameter(message, param_hint="--qubits") from None


def _print(result: dict[str, Any]) -> None:
    print_table(
        [
            {
                "qubits": row["qubits"],
                "seed": row["seed"],
                "parameters": row["parameters"],
                "bytes": row["total_bytes"],
                "exact [dB]": row["exact_db"],
                "scale": row["output_scale"],
                "mean p": row["mean_probability"],
                "shots needed": row["shots_needed"],
                "expected": row["shots_expected"],
            }
            for row in result["files"]
        ],
        f"shots for a pixel to come within {result['tolerance_db']:g} dB, {result['source']}",
    )
    growth = result["growth"]
    if growth:
        typer.echo(
            f"shots needed grow as 2^({growth['slope']:.2f} n), "
            f"standard error {growth['standard_error']:.2f}"
        )
    noise = result["noise"]
    title = f"noise: {noise['qubits']} qubits, {noise['pixels']} pixels"
    print_table([row | {"psnr_db": round(row["psnr_db"], 3)} for row in noise["runs"]], title)
