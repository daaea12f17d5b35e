"""Tables of markdown."""

from __future__ import annotations

from collections.abc import Sequence


def markdown_table(
    head: Sequence[str], body: Sequence[Sequence[str]], left: Sequence[int] = (0,)
) -> str:
    """A table; all columns but those of ``left`` hold figures."""
    rules = ["---" if index in left else "---:" for index in range(len(head))]
    return "".join(f"| {' | '.join(line)} |\n" for line in (head, rules, *body))


def number(value: float | None, form: str) -> str:
    """A figure by a format; nothing where there is none."""
    return "" if value is None else form.format(value)


def centimetres(max_error: float) -> str:
    """A bound for people."""
    return f"{100 * max_error:g} cm"
