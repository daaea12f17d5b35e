"""``quinr encode``: a scan or a picture to a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.config_options import options_from
from pipeline.cli.console import Json, bar_to, print_json, print_table, value_rows
from pipeline.config.archive_config import AUTO, ENCODER, ArchiveConfig
from pipeline.config.profile_files import find_profile, scan_profile
from pipeline.datasets.sources import Source, read_source
from pipeline.fidelity import check_promise, largest_error, promise_of_profile
from pipeline.sequence.model_files import read_model
from pipeline.storage.files import write_atomically
from quinr_lidar import RangeImage, codec, metrics
from quinr_lidar.entropy.models import EntropyModel
from quinr_lidar.errors import ProfileError
from quinr_lidar.training import FitProgress

if TYPE_CHECKING:
    from tqdm import tqdm

    from quinr_lidar.codec.images import EncodedImage
    from quinr_lidar.codec.profiles import Profile

PICTURE_PROFILE = "kodak-400"


@options_from(ArchiveConfig(), only=ENCODER, file=True)
def encode(
    source: Annotated[Path, typer.Argument(help="A KITTI velodyne scan (.bin) or a picture.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Compressed file; SOURCE.quinr by default.")
    ] = None,
    *,
    config: ArchiveConfig,
    seed: Annotated[int, typer.Option(help="Makes a run repeatable.")] = 0,
    restarts: Annotated[
        int | None, typer.Option(min=1, help="Trainings from different seeds; the best one counts.")
    ] = None,
    bpp: Annotated[
        float | None,
        typer.Option(
            help="Size of the file (with further layers, of its preview) in bits a pixel, as "
            "target_bytes."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Compress a scan or a picture.

    Files of scans keep every range to within 2 cm unless options say otherwise; a file that would
    break that promise is not written. Pictures take the profile kodak-400 unless another is named.
    Example: `quinr encode 000000.bin -o 000000.quinr --profile paper-350`, or
    `quinr encode 000000.bin --max-error 0.02`
    """
    # The help needs no torch, which takes a second to import.
    import torch

    from quinr_lidar.codec.images import encode_image

    out = out or source.with_suffix(".quinr")
    read = read_source(source, config.projection.spherical())
    overrides: dict[str, Any] = {"seed": seed} | ({"restarts": restarts} if restarts else {})
    if bpp is not None:
        overrides["target_bytes"] = int(bpp * read.pixels / 8)
    overrides |= config.overrides
    given = _given_model(config)
    # As the workers that archive sequences do: the sums of matrix products depend on threads.
    torch.set_num_threads(1)
    if isinstance(read.content, RangeImage):
        chosen = scan_profile(
            config.profile,
            overrides,
            max_error=config.max_error,
            relative_error=config.relative_error,
            entropy_model=given,
        )
        figures = _encode_scan(read, read.content, out, chosen, given, quiet=json)
    else:
        if given or config.max_error is not None or config.relative_error is not None:
            raise ProfileError(f"{source}: a picture has neither max error nor entropy model")
        name = config.profile if "profile" in config.model_fields_set else PICTURE_PROFILE
        chosen = find_profile(name).with_overrides(**overrides)
        with _progress(source.name, chosen, quiet=json) as bar:
            encoded = encode_image(read.content, chosen, progress=_advance(bar))
        write_atomically(out, encoded.data)
        figures = _figures(read, encoded, encoded.psnr, encoded.psnr)
    figures = {"file": str(out)} | figures
    if json:
        print_json(figures)
    else:
        print_table(value_rows(figures), "encoded")


def _given_model(config: ArchiveConfig) -> EntropyModel | None:
    """The entropy model of a configuration's file."""
    if config.entropy_model == AUTO:
        raise ProfileError(
            "--entropy-model auto: a model is chosen for a whole drive; expected a file"
        )
    return read_model(Path(config.entropy_model)) if config.entropy_model else None


def _encode_scan(
    read: Source,
    image: RangeImage,
    out: Path,
    profile: Profile,
    entropy_model: EntropyModel | None,
    *,
    quiet: bool,
) -> dict[str, Any]:
    """Write a file that keeps what its profile promises; returns figures.

    Raises:
        GeometryError: it would not.
        StorageError: it cannot be written.
    """
    entropy_models = () if entropy_model is None else (entropy_model,)
    with _progress(read.path.name, profile, quiet=quiet) as bar:
        encoded = codec.encode_frame(
            image, profile, entropy_models=entropy_models, progress=_advance(bar)
        )
    decoded = codec.decode(encoded.data, entropy_models=entropy_models)
    promise = promise_of_profile(profile)
    check_promise(promise, image, decoded)
    write_atomically(out, encoded.data)
    sections = codec.inspect(encoded.data).sections
    points = image.valid_count
    psnr = metrics.psnr(image.filled(), decoded.ranges, max_value=image.no_return)
    return _figures(read, encoded, psnr, encoded.preview_psnr) | {
        "sections": sections,
        "max_error_m": promise.max_error,
        "relative_error": promise.relative_error or None,
        "largest_error_m": round(largest_error(image, decoded), 6),
        "bits_per_point": round(8 * len(encoded.data) / points, 4),
        "ranges_bits_per_point": (
            round(8 * sections["ranges"] / points, 4) if "ranges" in sections else None
        ),
        "preview_psnr_db": round(encoded.preview_psnr, 3),
    }


def _figures(
    read: Source, encoded: codec.EncodedFrame | EncodedImage, psnr: float, preview_psnr: float
) -> dict[str, Any]:
    """Figures of any file: PSNR of what it decodes to, and of the field after rounding."""
    size = len(encoded.data)
    return {
        "bytes": size,
        "bpp": round(8 * size / read.pixels, 5),
        "ratio_raw": round(read.raw_bytes / size, 1),
        "psnr_db": round(psnr, 3),
        "psnr_before_quantisation_db": round(encoded.float_psnr, 3),
        "loss_by_quantisation_db": round(encoded.float_psnr - preview_psnr, 3),
        "seconds": round(encoded.fit.seconds, 2),
        "backend": encoded.fit.backend,
        "optimizer": encoded.fit.optimizer,
        "steps": encoded.fit.steps,
        "stop_reason": encoded.fit.stop_reason,
    }


def _progress(name: str, profile: Profile, *, quiet: bool) -> tqdm:
    from tqdm import tqdm

    return tqdm(total=profile.steps * profile.restarts, desc=name, unit="step", disable=quiet)


def _advance(bar: tqdm) -> Callable[[FitProgress], None]:
    def advance(progress: FitProgress) -> None:
        bar.set_postfix(loss=f"{progress.loss:.5f}", refresh=False)
        bar_to(bar, progress.step)

    return advance
