"""What the commands share: tables for a terminal, and how errors end a command."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from quinr_lidar.errors import ProfileError, QuinrError

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Settings = Annotated[
    list[str], typer.Option("--set", metavar="NAME=VALUE", help="Change a setting; repeatable.")
]
ProfileName = Annotated[
    str, typer.Option(help="Named settings of the encoder, or a preset file (.json).")
]

EXIT_PARTIAL = 1
EXIT_BAD_INPUT = 2


def run_app(app: typer.Typer, name: str) -> None:
    """Run a command; our errors become one line on stderr and exit code 2.

    Ctrl-C ends it with 130 (typer's doing).
    """
    try:
        app(prog_name=name)
    except QuinrError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)


def parse_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """``["steps=500", "pairs=upper"]`` to a dictionary; values are JSON where they can be.

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


def print_table(rows: Sequence[dict[str, Any]], title: str) -> None:
    """Rows of equal keys as a table; columns without any value are left out."""
    table = Table(title=title, title_justify="left")
    shown = [key for key in rows[0] if any(row[key] is not None for row in rows)] if rows else []
    for key in shown:
        numeric = any(isinstance(row[key], (int, float)) for row in rows)
        justify = "right" if numeric else "left"
        table.add_column(key, justify=justify, overflow="fold", min_width=_min_width(rows, key))
    for row in rows:
        table.add_row(*(format_value(row[key]) for key in shown))
    console = Console()
    # A pipe or a file has no width of its own: let nothing wrap there.
    Console(width=console.width if console.is_terminal else 200).print(table)


def _min_width(rows: Sequence[dict[str, Any]], key: str) -> int:
    """Figures are never broken; only long text may wrap."""
    return min(24, max(len(format_value(row[key])) for row in rows))


def format_value(value: Any) -> str:
    """A number with as many digits as a person reads."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, indent=2, allow_nan=False))


def bar_to(bar: tqdm, done: int) -> None:
    """Move a progress bar to so many done."""
    bar.update(done - bar.n)
