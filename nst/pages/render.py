"""Render pages from the templates in ``templates/``."""

from pathlib import Path
from typing import Any

import jinja2

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render_page(name: str, **values: Any) -> bytes:
    """The page of a template, UTF-8; bytes of file names that are not Unicode become ``?``."""
    return _TEMPLATES.get_template(name).render(values).encode(errors="replace")
