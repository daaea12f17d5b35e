"""``quinr decode``: files to clouds, range images and pictures."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli.console import EXIT_SALVAGED
from pipeline.datasets.cloud_files import image_writer
from pipeline.datasets.pictures import picture_bytes
from pipeline.sequence.model_files import models_for, read_model
from pipeline.storage.files import named, read_bytes, write_atomically
from quinr_lidar import RangeImage, codec
from quinr_lidar.codec.image_decoding import decode_image
from quinr_lidar.container import ImageHeader, unpack
from quinr_lidar.entropy.models import EntropyModel
from quinr_lidar.errors import BitstreamError, QuinrError
from quinr_lidar.fields.grid_values import Window
from quinr_lidar.fields.quinr import Simulator
from quinr_lidar.layers.registry import LAYERS, NAMES, to_decode


def decode(
    file: Annotated[Path, typer.Argument(help="A .quinr file.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Cloud (.bin, .ply, .pcd) or range image (.npy); of a picture, .png or another.",
        ),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"The last layer to decode: {', '.join(NAMES)}."),
    ] = None,
    entropy_model: Annotated[
        list[Path],
        typer.Option(help="An entropy model (.qmodel) the file may be coded with; repeatable."),
    ] = [],  # noqa: B006 (typer copies it)
    salvage: Annotated[
        bool,
        typer.Option(
            "--salvage", help="Decode the best intact layers of a damaged file; then exit code 3."
        ),
    ] = False,
    height: Annotated[
        int | None,
        typer.Option(min=1, help="Rows to evaluate the field at; by default as encoded."),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(min=1, help="Columns to evaluate the field at; by default as encoded."),
    ] = None,
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
    sparser cloud, whose points are the preview's, interpolated. Devices are slow; take few rows
    and columns. Entropy models (.qmodel) beside the file or its archive are found by themselves.
    Example: `quinr decode 000000.quinr -o cloud.ply`, or
    `quinr decode 000000.quinr --height 16 --width 128 --device default.qubit --shots 1024`
    """
    options: dict[str, Any] = {
        "height": height,
        "width": width,
        "window": _parse_window(window),
        "simulate": _simulator(device, shots),
    }
    wanted = _parse_layers(layers)
    if salvage and (layers or any(value is not None for value in options.values())):
        raise typer.BadParameter("decides itself what to decode", param_hint="--salvage")
    entropy_models = tuple(read_model(path) for path in entropy_model)
    data = read_bytes(file)
    try:
        container = unpack(data, ())
        if isinstance(container.header, ImageHeader):
            _decode_picture(data, out or file.with_suffix(".png"), options)
        # A single layer is intact, or there is nothing to salvage.
        elif salvage and len(container.layers) > 1:
            _salvage_scan(data, file, out or file.with_suffix(".bin"), entropy_models)
        else:
            out = out or file.with_suffix(".bin")
            encoder = image_writer(out)
            at_hand = (*entropy_models, *models_for(file, data))
            _write_scan(codec.decode(data, wanted, entropy_models=at_hand, **options), out, encoder)
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


def _salvage_scan(
    data: bytes, file: Path, out: Path, entropy_models: tuple[EntropyModel, ...]
) -> None:
    encoder = image_writer(out)
    salvaged = codec.salvage(data, (*entropy_models, *models_for(file, data)))
    _write_scan(salvaged.image, out, encoder)
    if salvaged.damage is None:
        return
    used = " and ".join(salvaged.layers)
    worth = " ".join(LAYERS[name].promise for name in to_decode(salvaged.layers))
    print(f"quinr: {file}: {salvaged.damage}; salvaged from {used}: {worth}", file=sys.stderr)
    raise typer.Exit(EXIT_SALVAGED)


def _write_scan(image: RangeImage, out: Path, encoder: Callable[[RangeImage], bytes]) -> None:
    write_atomically(out, encoder(image))
    size = f"{image.shape[0]} x {image.shape[1]}"
    note = f", interpolated on {size}: not what the sensor measured" if image.interpolated else ""
    print(f"{out}: {image.valid_count:,} points{note}")


def _parse_layers(text: str | None) -> tuple[str, ...]:
    """The layers up to the one of this name; all by default."""
    if text is None:
        return NAMES
    if text not in NAMES:
        raise typer.BadParameter(
            f"{text!r}: expected one of {', '.join(NAMES)}", param_hint="--layers"
        )
    return NAMES[: NAMES.index(text) + 1]


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
    from quinr_lidar.circuit.devices import DeviceRun, device_probabilities

    return device_probabilities(DeviceRun(device, shots))
