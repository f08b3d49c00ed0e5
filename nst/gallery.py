"""``index.html``: the pictures of a batch on one page, opened from disk."""

import html
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from nst.batch import Outcome
from nst.errors import OutputError
from nst.files import write_atomically

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


def write(output_dir: Path, outcomes: Sequence[Outcome]) -> Path | None:
    """Write the page of the pictures that there are; return where it is, None without a picture.

    Raises OutputError.
    """
    made = [outcome for outcome in outcomes if outcome.picture]
    if not made:
        return None
    items = []
    for outcome in sorted(made, key=lambda outcome: outcome.task.number):
        target = outcome.picture.relative_to(output_dir)
        values = {"target": quote(os.fsencode(target)), "name": html.escape(outcome.task.name)}
        items.append(ITEM.format(**values))
    title = f"{len(made)} picture{'s' * (len(made) != 1)}"
    page = PAGE.format(title=title, items="\n".join(items))
    try:
        write_atomically(output_dir / NAME, page.encode(errors="replace"))
    except OSError as error:
        raise OutputError(
            f"{output_dir / NAME}: {error.strerror}; free some space or change --output_dir"
        ) from None
    return output_dir / NAME
