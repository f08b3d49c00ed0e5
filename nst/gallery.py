"""``index.html``: all the runs of an output folder on one page, opened from disk."""

import datetime
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nst import jobs, manifest, pages, place, products
from nst.files import write_atomically

NAME = "index.html"


def write(output_dir: Path) -> Path | None:
    """Write the page of all runs in ``output_dir``, and return where it is; None without a run.

    Processes that end at the same time take turns, so that the page misses none of their runs.
    Raises OutputError.
    """
    try:
        if not output_dir.is_dir():
            return None
        handle = place.lock(output_dir, wait=True)
        try:
            folders = sorted(output_dir.glob("*/"))
            found = [(folder, manifest.read(folder)) for folder in folders]
            runs = [_run(folder, about) for folder, about in found if about.get("status")]
            if not runs:
                return None
            title = f"{len(runs)} picture{'s' * (len(runs) != 1)}"
            runs.sort(key=lambda run: -(run["seconds"] or 0))
            write_atomically(
                output_dir / NAME, pages.render("gallery.html", title=title, runs=runs)
            )
        finally:
            place.unlock(handle)
    except OSError as error:
        raise place.cannot_write(output_dir / NAME, error) from None
    return output_dir / NAME


def _run(folder: Path, found: dict[str, Any]) -> dict[str, Any]:
    """What the page shows of a run."""
    contents, styles = _names(found)
    number = re.search("-[1-9][0-9]*$", folder.name)
    name = folder.name
    if contents or styles:
        name = jobs.title(next(iter(contents), None), styles)
        name += f" ({number[0][1:]})" if number else ""
    finished = found["status"] == place.FINISHED
    report, thumbnail = folder / place.REPORT, folder / place.THUMBNAIL
    if finished:
        pictures = list(folder.glob(f"{place.RESULT}.*"))
        shown = [path for path in (thumbnail, *pictures) if path.exists()]
        targets = [path for path in (report, *pictures) if path.exists()]
    else:
        pictures = []
        shown = targets = list(products.frames(folder).values())[-1:]
    cost = _number(found.get("final_costs", {}), "J")
    about = [] if finished else [str(found["status"])]
    about += [f"{found['iterations']} iterations"] if "iterations" in found else []
    about += [f"J {cost:.3g}"] if cost is not None else []
    when = str(found.get("ended") or found.get("started") or "")
    return {
        "name": name,
        "content": " + ".join(contents),
        "style": " + ".join(styles),
        "target": _address((*targets, folder)[0]),
        "thumbnail": _address(shown[0]) if shown else "",
        "picture": _address(pictures[0]) if pictures else "",
        "about": ", ".join([*about, when[:16].replace("T", " ")]),
        "seconds": _seconds(when),
        "cost": "" if cost is None else cost,
    }


def _names(found: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The names of the files of content and styles, as far as a manifest tells them."""
    try:
        files = found["files"]
        return tuple([Path(file["path"]).name for file in files[r]] for r in ("content", "style"))
    except (KeyError, TypeError):
        return [], []


def _number(values: Any, name: str) -> float | None:
    value = values.get(name) if isinstance(values, dict) else None
    return float(value) if isinstance(value, int | float) else None


def _seconds(when: str) -> float | str:
    try:
        return datetime.datetime.fromisoformat(when).timestamp()
    except ValueError:
        return ""


def _address(path: Path) -> str:
    """A path relative to the page, for a link."""
    depth = 1 if path.is_dir() else 2
    return quote(os.fsencode("/".join(path.parts[-depth:])) + b"/" * path.is_dir())
