"""``quinr encode`` and ``quinr decode``: single scans and pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from tqdm import tqdm

from pipeline.clouds import cloud_bytes
from pipeline.console import (
    Json,
    Settings,
    bar_to,
    parse_settings,
    print_json,
    print_table,
)
from pipeline.files import read_bytes, write_atomically
from pipeline.frames import named
from pipeline.profile_files import find_profile
from pipeline.sources import Source, picture_bytes, read_source
from quinr_lidar import RangeImage, SphericalProjection, codec
from quinr_lidar.errors import BitstreamError, QuinrError
from quinr_lidar.field_codec import Window
from quinr_lidar.fields.quinr import Simulator
from quinr_lidar.images import EncodedImage, decode_image, encode_image
from quinr_lidar.training import FitProgress

DEFAULT_PROFILE, PICTURE_PROFILE = "paper", "kodak-400"


def encode(
    source: Annotated[Path, typer.Argument(help="A KITTI velodyne scan (.bin) or a picture.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Compressed file; SOURCE.quinr by default.")
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            help="Named settings, or a preset file (.json); by default paper for scans and "
            "kodak-400 for pictures."
        ),
    ] = None,
    settings: Settings = [],  # noqa: B006 (typer copies it)
    seed: Annotated[int, typer.Option(help="Makes a run repeatable.")] = 0,
    restarts: Annotated[
        int | None, typer.Option(min=1, help="Trainings from different seeds; the best one counts.")
    ] = None,
    bpp: Annotated[
        float | None, typer.Option(help="Size of the file in bits a pixel, as target_bytes.")
    ] = None,
    height: Annotated[int, typer.Option(help="Rows of the range image.")] = 64,
    width: Annotated[int, typer.Option(help="Columns of the range image.")] = 1024,
    fov_up: Annotated[float, typer.Option(help="Upper edge of the view, degrees.")] = 3.0,
    fov_down: Annotated[float, typer.Option(help="Lower edge of the view, degrees.")] = -25.0,
    json: Json = False,
) -> None:
    """Compress a scan or a picture.

    Example: `quinr encode 000000.bin -o 000000.quinr --profile paper-350`
    """
    out = out or source.with_suffix(".quinr")
    read = read_source(source, SphericalProjection(height, width, fov_up, fov_down))
    scan = isinstance(read.content, RangeImage)
    overrides: dict[str, Any] = {"seed": seed} | ({"restarts": restarts} if restarts else {})
    if bpp is not None:
        overrides["target_bytes"] = int(bpp * read.pixels / 8)
    chosen = find_profile(profile or (DEFAULT_PROFILE if scan else PICTURE_PROFILE))
    chosen = chosen.with_overrides(**(overrides | parse_settings(settings)))
    # As the workers that archive sequences do: the sums of matrix products depend on threads.
    torch.set_num_threads(1)
    total = chosen.steps * chosen.restarts
    with tqdm(total=total, desc=source.name, unit="step", disable=json) as bar:
        if isinstance(read.content, RangeImage):
            encoded = codec.encode_frame(read.content, chosen, progress=_advance(bar))
        else:
            encoded = encode_image(read.content, chosen, progress=_advance(bar))
    write_atomically(out, encoded.data)
    figures = {"file": str(out)} | _figures(read, encoded)
    if json:
        print_json(figures)
    else:
        print_table([{"": key, "value": value} for key, value in figures.items()], "encoded")


def decode(
    file: Annotated[Path, typer.Argument(help="A .quinr file.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Cloud .bin or .ply, range image .npy; of a picture, .png or so."
        ),
    ] = None,
    layers: Annotated[int | None, typer.Option(help="Stop after this many layers.", min=1)] = None,
    height: Annotated[
        int | None, typer.Option(min=1, help="Rows to evaluate the field at; as encoded.")
    ] = None,
    width: Annotated[int | None, typer.Option(min=1, help="Columns, likewise.")] = None,
    window: Annotated[
        str | None, typer.Option(metavar="TOP,BOTTOM,LEFT,RIGHT", help="Only these pixels.")
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="Run the circuits on this PennyLane device, e.g. lightning.qubit."),
    ] = None,
    shots: Annotated[
        int | None, typer.Option(min=1, help="Measurements a pixel on it; exact by default.")
    ] = None,
) -> None:
    """Decompress a file to a point cloud, a range image or a picture.

    A field has a value everywhere: other rows and columns than the scan's give a denser or a
    sparser cloud, whose points are interpolated. Devices are slow; take few rows and columns.
    Example: `quinr decode 000000.quinr -o cloud.ply`, or
    `quinr decode 000000.quinr --height 16 --width 128 --device default.qubit --shots 1024`
    """
    data = read_bytes(file)
    try:
        picture = codec.inspect(data).content == "image"
        options: dict[str, Any] = {
            "height": height,
            "width": width,
            "window": _parse_window(window),
            "simulate": _simulator(device, shots),
        }
        if picture:
            _decode_picture(data, out or file.with_suffix(".png"), options)
        else:
            _decode_scan(data, out or file.with_suffix(".bin"), layers, options)
    except BitstreamError as error:
        raise named(error, file) from error
    except ValueError as error:
        if isinstance(error, QuinrError):
            raise
        raise typer.BadParameter(str(error)) from error


def _decode_picture(data: bytes, out: Path, options: dict[str, Any]) -> None:
    image = decode_image(data, **options)
    write_atomically(out, picture_bytes(image, out.suffix))
    print(f"{out}: {image.shape[1]} x {image.shape[0]} pixels")


def _decode_scan(data: bytes, out: Path, layers: int | None, options: dict[str, Any]) -> None:
    encoder = cloud_bytes(out)
    image = codec.decode(data, layers, **options)
    write_atomically(out, encoder(image))
    size = f"{image.shape[0]} x {image.shape[1]}"
    note = f", interpolated on {size}: not what the sensor measured" if image.interpolated else ""
    print(f"{out}: {image.measured_count:,} points{note}")


def _parse_window(text: str | None) -> Window | None:
    if text is None:
        return None
    try:
        return Window(*map(int, text.split(",")))
    except (TypeError, ValueError) as error:
        raise typer.BadParameter(
            f"{text!r}: expected TOP,BOTTOM,LEFT,RIGHT in pixels ({error})", param_hint="--window"
        ) from error


def _simulator(device: str | None, shots: int | None) -> Simulator | None:
    if device is None:
        if shots is not None:
            raise typer.BadParameter("needs --device", param_hint="--shots")
        return None
    # PennyLane takes seconds to import.
    from quinr_lidar.quantum.devices import DeviceRun, device_probabilities

    return device_probabilities(DeviceRun(device, shots))


def _figures(read: Source, encoded: codec.EncodedFrame | EncodedImage) -> dict[str, Any]:
    size = len(encoded.data)
    return {
        "bytes": size,
        "bpp": round(8 * size / read.pixels, 5),
        "ratio_raw": round(read.raw_bytes / size, 1),
        "psnr_db": round(encoded.psnr, 3),
        "psnr_before_quantisation_db": round(encoded.float_psnr, 3),
        "loss_by_quantisation_db": round(encoded.float_psnr - encoded.psnr, 3),
        "seconds": round(encoded.fit.seconds, 2),
        "backend": encoded.fit.backend,
        "optimizer": encoded.fit.optimizer,
        "steps": encoded.fit.steps,
        "stop_reason": encoded.fit.stop_reason,
    }


def _advance(bar: tqdm) -> Callable[[FitProgress], None]:
    def advance(progress: FitProgress) -> None:
        bar.set_postfix(loss=f"{progress.loss:.5f}", refresh=False)
        bar_to(bar, progress.step)

    return advance
