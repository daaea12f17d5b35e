"""``quinr info``: what a file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.console import Json, print_json, print_table, value_rows
from pipeline.fidelity.promises import promise_of_file
from pipeline.sequence.model_files import built_in_name
from pipeline.storage.files import named, read_bytes
from quinr_lidar import codec
from quinr_lidar.errors import BitstreamError


def info(
    file: Annotated[Path, typer.Argument(help="A .quinr file.")],
    json: Json = False,
) -> None:
    """Show what a file holds: bytes of each layer, max error, entropy model, field's sizes.

    Example: `quinr info 000000.quinr --json`
    """
    try:
        inspected = codec.inspect(read_bytes(file))
    except BitstreamError as error:
        raise named(error, file) from error
    shown, promise = inspected.as_dict(), promise_of_file(inspected)
    if promise.max_error is not None:
        # With the rounding of ranges: what no error exceeds.
        shown["max_error"] = promise.max_error
    if (entropy_model := shown["entropy_model"]) is not None:
        shown["built_in_model"] = built_in_name(entropy_model)
    if json:
        print_json(shown)
        return
    if entropy_model is not None:
        built_in = shown.pop("built_in_model")
        shown["entropy_model"] = (
            f"{entropy_model} (built in: {built_in})"
            if built_in
            else f"{entropy_model} (not built in)"
        )
    print_table(value_rows({"file": str(file)} | shown), "quinr file")
