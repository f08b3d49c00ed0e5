"""``index.html``: the finished pictures of an output folder on one page, opened from disk."""

import html
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nst import jobs, manifest
from nst.files import write_atomically
from nst.run_folder import FINISHED, RESULT, cannot_write

NAME = "index.html"
PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Neural Style Transfer</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.4 system-ui, sans-serif; margin: 1rem }}
ul {{ display: grid; gap: 1rem; padding: 0; list-style: none;
  grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)) }}
img {{ width: 100%; aspect-ratio: 4/3; object-fit: contain; background: #8882 }}
span {{ overflow-wrap: anywhere }}
</style>
<h1>{title}</h1>
<ul>
{items}
</ul>
</html>
"""
ITEM = """<li><a href="{target}"><img src="{target}" alt="{name}" loading="lazy"></a>
<span>{name}</span></li>"""


def write(output_dir: Path) -> Path | None:
    """Write the page of all finished pictures in ``output_dir``; return where it is.

    None without a picture. Raises OutputError.
    """
    items = []
    for folder in sorted(output_dir.glob("*/")):
        found = manifest.read(folder)
        if found.get("status") == FINISHED and (folder / RESULT).exists():
            target = quote(os.fsencode(f"{folder.name}/{RESULT}"))
            items.append(ITEM.format(target=target, name=html.escape(_name(folder, found))))
    if not items:
        return None
    title = f"{len(items)} picture{'s' * (len(items) != 1)}"
    page = PAGE.format(title=title, items="\n".join(items))
    try:
        write_atomically(output_dir / NAME, page.encode(errors="replace"))
    except OSError as error:
        raise cannot_write(output_dir / NAME, error) from None
    return output_dir / NAME


def _name(folder: Path, found: dict[str, Any]) -> str:
    """What is painted how, and the number of the folder if it has one."""
    try:
        files = found["files"]
        contents, styles = (
            [Path(file["path"]).name for file in files[role]] for role in ("content", "style")
        )
    except (KeyError, TypeError):
        return folder.name
    name = jobs.title(next(iter(contents), None), styles)
    number = re.search("-[1-9][0-9]*$", folder.name)
    return name + (f" ({number[0][1:]})" if number else "")
