"""Facts of a frame: each is declared once, as an annotated field of the class that holds it.

A field's annotation says what the fact is called, in which unit it is, and where it is shown::

    bpp: Annotated[float, Fact("bits a pixel", "bpp", "8 * bytes / (H * W)", tables=("archive",))]

The manifest's columns, the notes in the MCAP, ``metrics.csv``, the tables for people and the
report's columns are made from these declarations. So a new fact is a new field, and the line of
code that gives it a value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

Kind = Literal[
    "length", "bytes", "psnr", "share", "bpp", "seconds", "angle", "rate", "turn", "count", "ratio"
]
"""What a figure is. ``share`` is in [0, 1]; ``rate`` is metres a metre, shown in percent; ``turn``
is degrees a metre."""

Better = Literal["lower", "higher"]

Table = Literal["sequence", "archive", "report"]
"""Tables of frames: of a sequence's records, of a packed archive, and of a report."""

_SYMBOLS: dict[Kind, str] = {
    "length": "m",
    "bytes": "B",
    "psnr": "dB",
    "seconds": "s",
    "angle": "deg",
    "rate": "m/m",
    "turn": "deg/m",
}
"""Units of stored figures, for headings."""

_TYPES = (str, int, float, bool)


@dataclass(frozen=True)
class Fact:
    """What is known of a frame, as one field of a dataclass.

    Attributes:
        title: What people call it.
        kind: What is measured, which decides the unit; ``None`` for text, numbers and flags that
            are no figures.
        meaning: One or two sentences with the formula, for figures.
        tables: Tables that show it.
        in_notes: Whether the MCAP itself keeps it, beside the manifest.
        better: Which way is better; ``None`` where neither is.
        scale: Factor from the stored value to the one in tables.
        name: Name of the field, which is also the name of the column.
        type: Type of the field, without ``None``.
    """

    title: str = ""
    kind: Kind | None = None
    meaning: str = ""
    tables: tuple[Table, ...] = ()
    in_notes: bool = False
    better: Better | None = None
    scale: float = 1.0
    name: str = ""
    type: type = str

    @property
    def heading(self) -> str:
        """The title with the unit, as a table's heading."""
        symbol = "s" if self.scale != 1 else _SYMBOLS.get(self.kind) if self.kind else None
        return f"{self.title} [{symbol}]" if symbol else self.title

    @property
    def label(self) -> str:
        """The title with a capital letter."""
        return self.title[:1].upper() + self.title[1:]

    def shown(self, value: Any) -> Any:
        """A value as tables show it."""
        return value if value is None or self.scale == 1 else value * self.scale


@lru_cache
def facts_of(kind: type) -> tuple[Fact, ...]:
    """The facts that a dataclass holds: all fields of text, numbers or flags, in their order."""
    found = []
    for name, hint in get_type_hints(kind, include_extras=True).items():
        plain = _plain_type(hint)
        if plain is not None:
            declared = [one for one in get_args(hint)[1:] if isinstance(one, Fact)]
            fact = declared[0] if get_origin(hint) is Annotated and declared else Fact()
            title = fact.title or name.replace("_", " ")
            found.append(replace(fact, title=title, name=name, type=plain))
    return tuple(found)


def columns_of(table: Table, facts: Iterable[Fact]) -> list[Fact]:
    """The facts that a table shows: text first, then figures, times and the reason of a failure."""
    return sorted((fact for fact in facts if table in fact.tables), key=_rank)


def _rank(fact: Fact) -> int:
    if fact.name == "error":
        return 3
    return 2 if fact.kind == "seconds" else int(fact.kind is not None)


def _plain_type(hint: Any) -> type | None:
    """One of str, int, float and bool, if a field is of that type or ``None``."""
    if hint in _TYPES:
        return hint
    if get_origin(hint) is Annotated:
        return _plain_type(get_args(hint)[0])
    if get_origin(hint) is Literal:
        return type(get_args(hint)[0])
    options = [option for option in get_args(hint) if option is not NoneType]
    return _plain_type(options[0]) if len(options) == 1 else None
