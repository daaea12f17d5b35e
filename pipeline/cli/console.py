"""What the commands share: tables for a terminal, and how errors end a command."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.commands import LazyCommand
from pipeline.facts.units import format_value
from pipeline.libraries.extras import missing_extra
from quinr_lidar.errors import ProfileError, QuinrError

if TYPE_CHECKING:
    from tqdm import tqdm

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Settings = Annotated[
    list[str], typer.Option("--set", metavar="NAME=VALUE", help="Change a setting; repeatable.")
]
ProfileName = Annotated[
    str, typer.Option(help="Named settings of the encoder, or a preset file (.json).")
]
SequenceName = Annotated[
    str | None, typer.Option(help="Which sequence of a data set that has several.")
]

_PIPE = 1000
"""Columns of what is no terminal and has no width of its own: nothing wraps there."""

EXIT_PARTIAL = 1
EXIT_BAD_INPUT = 2
EXIT_SALVAGED = 3


def run_app(app: typer.Typer, name: str, commands: Sequence[LazyCommand]) -> None:
    """Run a command; our errors become one line on stderr and exit code 2.

    A package that only an extra installs is such an error where it is missing. Ctrl-C ends the
    command with 130 (typer's doing).
    """
    try:
        app(prog_name=name)
    except QuinrError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
    except ModuleNotFoundError as error:
        command = next((one for one in commands if one.name in sys.argv[1:2]), None)
        if command is None or (needed := missing_extra(error, command.extra)) is None:
            raise
        print(f"{name} {command.name} {needed}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)


def parse_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """``["steps=500", "seed=1"]`` to a dictionary; values are JSON where they can be.

    Raises:
        ProfileError: a pair without ``=``.
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise ProfileError(f"--set {pair}: expected NAME=VALUE, for instance steps=500")
        try:
            settings[key] = json.loads(text)
        except ValueError:
            settings[key] = text
    return settings


def value_rows(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of a table of names and values; ``sections`` become a row each, ``None`` is left out."""
    flat = {key: value for key, value in values.items() if key != "sections"}
    flat |= {f"{layer} bytes": size for layer, size in values.get("sections", {}).items()}
    return [{"": key, "value": value} for key, value in flat.items() if value is not None]


def print_table(rows: Sequence[dict[str, Any]], title: str) -> None:
    """Rows of equal keys as a table; columns without any value are left out."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left")
    shown = [key for key in rows[0] if any(row[key] is not None for row in rows)] if rows else []
    for key in shown:
        numeric = any(isinstance(row[key], (int, float)) for row in rows)
        justify = "right" if numeric else "left"
        # Without this "[m]" would be markup.
        table.add_column(
            escape(key), justify=justify, overflow="fold", min_width=_min_width(rows, key)
        )
    for row in rows:
        table.add_row(*(escape(format_value(row[key])) for key in shown))
    console = Console()
    Console(width=console.width if console.is_terminal else _PIPE).print(table)


def _min_width(rows: Sequence[dict[str, Any]], key: str) -> int:
    """Figures are never broken; only long text may wrap."""
    return min(24, max(len(format_value(row[key])) for row in rows))


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, indent=2, allow_nan=False))


def bar_to(bar: tqdm, done: int) -> None:
    """Move a progress bar to so many done."""
    bar.update(done - bar.n)
