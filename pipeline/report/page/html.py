"""HTML pages that are one file: styles, scripts and Plotly inside, and nothing from anywhere else.

A content security policy names the scripts by their SHA-256 and forbids all connections. So even a
hostile frame id that got past the template's escaping could neither run nor load anything.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_HERE = Path(__file__).parent
_STYLES = ("theme.css", "layout.css", "report.css")
_HEAD_SCRIPT = "theme.js"


def render(
    template: str, values: Mapping[str, Any], scripts: Sequence[str], *, charts: bool = True
) -> bytes:
    """A page of one of the package's templates.

    Args:
        template: Name of the template.
        values: Values for the template; all text in them is escaped.
        scripts: Names of scripts among the assets, run in this order at the end of the page.
        charts: Whether the page needs Plotly.

    Returns:
        UTF-8.
    """
    head, body = _asset(_HEAD_SCRIPT), "\n".join(_asset(name) for name in scripts)
    plotly = packed_plotly() if charts else None
    code = [head, body, *([plotly_source()] if charts else [])]
    page = {
        "policy": _policy(code),
        "styles": Markup("\n".join(_asset(name) for name in _STYLES)),  # noqa: S704 (ours)
        "head_script": Markup(head),  # noqa: S704 (ours)
        "body_script": Markup(body),  # noqa: S704 (ours)
        "plotly": plotly,
    }
    return _environment().get_template(template).render(page=page, **values).encode()


@lru_cache(1)
def plotly_source() -> str:
    """Plotly's JavaScript, as its package has it."""
    # Only reports need it, and it takes a while to import.
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


@lru_cache(1)
def packed_plotly() -> str:
    """Plotly's JavaScript, gzip and base64: 2 MB instead of 4.8; the same bytes every time."""
    return base64.b64encode(gzip.compress(plotly_source().encode(), 9, mtime=0)).decode()


def _policy(scripts: Sequence[str]) -> str:
    digests = [
        base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() for code in scripts
    ]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; "
        f"script-src {allowed}; base-uri 'none'; form-action 'none'"
    )


@lru_cache
def _asset(name: str) -> str:
    # Browsers hash what they have read, and they read every line break as \n.
    return (_HERE / "assets" / name).read_text().replace("\r\n", "\n")


@lru_cache(1)
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
