"""Templates of the pages that benchmarks write: prose in Markdown, with places for tables."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.evaluation.markdown import markdown_table


def render_page(template: str, **values: object) -> str:
    """The Markdown page of a template here, such as ``rate.md.j2``, filled in with values."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        # Markdown, not HTML: what is escaped there would show here.
        autoescape=False,  # noqa: S701
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["table"] = markdown_table
    page = environment.get_template(template).render(**values)
    # Tables and sections that are left out leave empty lines behind.
    return re.sub(r"\n{3,}", "\n\n", page).rstrip("\n") + "\n"
