"""Pages out of the templates in ``templates/``."""

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


def render(name: str, **values: Any) -> bytes:
    """The page of a template, UTF-8; what of file names is no Unicode is shown as ``?``."""
    return _TEMPLATES.get_template(name).render(values).encode(errors="replace")
