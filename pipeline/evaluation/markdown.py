"""Markdown tables, for every page that a command writes."""

from __future__ import annotations

from collections.abc import Sequence


def markdown_table(
    head: Sequence[str], body: Sequence[Sequence[str]], left: Sequence[int] = (0,)
) -> str:
    """A table whose columns are aligned to the right, except those in ``left``."""
    rules = ["---" if index in left else "---:" for index in range(len(head))]
    return "".join(f"| {' | '.join(line)} |\n" for line in (head, rules, *body))


def number(value: float | None, form: str) -> str:
    """A figure in a format such as ``{:.2f}``; empty where there is none."""
    return "" if value is None else form.format(value)
