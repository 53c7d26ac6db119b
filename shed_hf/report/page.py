"""Writes the report: one HTML file that needs no network and runs nothing but its own script."""

import base64
import hashlib
import json
import os
import re
from functools import cache
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.errors import InputError
from shed_hf.errors.safe_text import one_line
from shed_hf.report.content import content_of
from shed_hf.report.page_text import minus, page_text_of
from shed_hf.results.curation import Curation
from shed_hf.utils.checks import check_new_path

if TYPE_CHECKING:
    from jinja2 import Environment

PARTS = Path(__file__).parent / "page"
VENDORED = Path(__file__).parent / "vendor" / "d3.min.js"

SCRIPTS = ("elements.js", "subset.js", "comparison.js", "forest.js", "map.js", "rows.js", "convergence.js", "page.js")
"""The page's own scripts, in the order in which they run, after D3."""

MARK = "<!-- a report by shed_hf -->"
"""What a report's second line is, so that only reports are written over."""


def report_page(curated: Curation, title: str, shown: bool = True) -> str:
    """The whole page.

    The verdict, the clusters, the cost and the recipe are plain HTML, and can be read where scripts may not run. Rows
    reach it as JSON, in which no markup can begin, and are shown as text. Its Content-Security-Policy lets nothing be
    loaded, and nothing run but the scripts whose digests it names.

    Args:
        curated: The result.
        title: The page's title.
        shown: Whether texts of rows may be shown.

    Returns:
        HTML.
    """
    scripts = [VENDORED.read_text(encoding="utf-8"), _own_script()]
    style = (PARTS / "report.css").read_text(encoding="utf-8")
    page: str = (
        _environment()
        .get_template("report.html.jinja")
        .render(
            mark=MARK,
            result=_identity(curated),
            title=title,
            policy=_policy(scripts, style),
            style=style,
            scripts=scripts,
            told=page_text_of(curated),
            content=as_script_data(content_of(curated, shown)),
        )
    )
    return page


@cache
def _environment() -> "Environment":
    """One for all pages of a process: it keeps the templates that it has compiled."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(PARTS), undefined=StrictUndefined, autoescape=True, trim_blocks=True
    )
    environment.filters["minus"] = minus
    return environment


def write_report(curated: Curation, path: str | os.PathLike[str]) -> Path:
    """Write the page to a file; an earlier report is replaced, and nothing else is.

    Args:
        curated: The result.
        path: Where; parent folders are created.

    Returns:
        The absolute path.

    Raises:
        InputError: For a path that is not one, a file that is no report, and where nothing can be written.
    """
    target = check_new_path(path, 'a new file, such as "report.html"').resolve()
    try:
        if target.is_dir() or (target.exists() and MARK not in target.read_text("utf-8", "replace")[:200]):
            raise InputError(f"{target} exists already and is no report; pass another path")
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        partial.write_text(report_page(curated, _title(curated)), encoding="utf-8")
        partial.replace(target)
    except OSError as error:
        raise InputError(f"{target} cannot be written ({error}); pass another path") from error
    return target


def free_path(curated: Curation) -> Path:
    """Where a report goes whose path nobody named: to no file but an earlier report of the same result.

    Args:
        curated: The result.

    Returns:
        ``report.html`` of the working directory; where that is something else, a name after the result.
    """
    named = re.sub(r"[^\w.-]+", "-", curated.place or "").strip("-.") or "other"
    further = (Path(f"report-{named}-{number}.html") for number in count(2))
    candidates = chain([Path("report.html"), Path(f"report-{named}.html")], further)
    return next(path for path in candidates if not os.path.lexists(path) or _is_report_of(curated, path))


def _is_report_of(curated: Curation, path: Path) -> bool:
    if not path.is_file():
        return False
    begun = path.read_bytes()[:4096].decode("utf-8", "replace")
    return MARK in begun and f'content="{_identity(curated)}"' in begun


def _identity(curated: Curation) -> str:
    """A digest of the pool, its clusters' values and the rows chosen, but not of what is found out later."""
    content = hashlib.sha256()
    for part, kind in ((curated.valued.digests, np.uint8), (curated.rows, np.int64), (curated.valued.values, float)):
        content.update(np.ascontiguousarray(part, dtype=kind).tobytes())
    return content.hexdigest()[:16]


def as_script_data(content: Any) -> str:
    """Plain data as JSON that can stand in a script element: ASCII, without a character that markup begins with.

    Args:
        content: Plain data.

    Returns:
        JSON.
    """
    written = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return written.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _own_script() -> str:
    """All parts as one script, so that what they share is nobody else's."""
    parts = "\n".join((PARTS / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}}})();\n'


def _policy(scripts: list[str], style: str) -> str:
    allowed = " ".join(_digest(script) for script in scripts)
    return f"default-src 'none'; script-src {allowed}; style-src {_digest(style)}; base-uri 'none'; form-action 'none'"


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _title(curated: Curation) -> str:
    """What the result is called: where it was read from, or the dataset that it is of."""
    return one_line(curated.place or f"Rows of {curated.recipe['source']['name'] or 'a dataset'}", 100)
