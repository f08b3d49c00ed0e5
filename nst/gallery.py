"""``index.html``: all the runs of an output folder on one page, opened from disk."""

import datetime
import math
import os
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nst import jobs, manifest, pages, place, products
from nst.files import write_atomically
from nst.settings import OUTPUT_FORMATS

NAME = "index.html"
PATIENCE = 10.0  # seconds, for another process that is writing the page


def lacks(run: Path) -> bool:
    """Whether a run folder was finished after the gallery of its output folder was written."""
    try:
        return (run.parent / NAME).stat().st_mtime < (run / manifest.NAME).stat().st_mtime
    except OSError:
        return True


def write(output_dir: Path) -> Path | None:
    """Write the page of all runs in ``output_dir``, and return where it is; None without a run.

    Processes that end at the same time take turns, so that the page misses none of their runs; but
    none waits for long. Raises OutputError.
    """
    try:
        if not output_dir.is_dir():
            return None
        deadline = time.monotonic() + PATIENCE
        while (handle := place.lock(output_dir)) is None and time.monotonic() < deadline:
            time.sleep(0.05)
        try:
            for left in output_dir.glob(f".{NAME}.*.part") if handle is not None else ():
                left.unlink()  # by a killed process
            folders = sorted(output_dir.glob("*/"))
            found = [(folder, manifest.read(folder)) for folder in folders]
            runs = [_run(folder, about) for folder, about in found if about.get("status")]
            runs = [run for run in runs if run]
            if not runs:
                return None
            title = f"{len(runs)} picture{'s' * (len(runs) != 1)}"
            runs.sort(key=lambda run: run["seconds"], reverse=True)
            write_atomically(
                output_dir / NAME, pages.render("gallery.html", title=title, runs=runs)
            )
        finally:
            place.unlock(handle)
    except OSError as error:
        raise place.cannot_write(output_dir / NAME, error) from None
    return output_dir / NAME


def _run(folder: Path, found: dict[str, Any]) -> dict[str, Any] | None:
    """What the page shows of a run; None for a manifest that is none of ours."""
    try:
        return _described(folder, found)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return None


def _described(folder: Path, found: dict[str, Any]) -> dict[str, Any]:
    contents, styles = (
        [Path(file["path"]).name for file in found["files"][role]] for role in ("content", "style")
    )
    number = re.search("-[1-9][0-9]*$", folder.name)
    name = jobs.title(next(iter(contents), None), styles) + (
        f" ({number[0][1:]})" if number else ""
    )
    finished = found["status"] == place.FINISHED
    report, thumbnail = folder / place.REPORT, folder / place.THUMBNAIL
    if finished:
        pictures = [folder / f"{place.RESULT}.{kind}" for kind in OUTPUT_FORMATS]
        pictures = [path for path in pictures if path.exists()]
        shown = [path for path in (thumbnail, *pictures) if path.exists()]
        targets = [path for path in (report, *pictures) if path.exists()]
    else:
        pictures = []
        shown = targets = list(products.frames(folder).values())[-1:]
    cost = found.get("final_costs", {}).get("J")
    cost = cost if cost is not None and math.isfinite(cost) else None
    about = [] if finished else [str(found["status"])]
    about += [f"{found['iterations']} iterations"] if "iterations" in found else []
    about += [f"J {cost:.3g}"] if cost is not None else []
    when = found.get("ended", found["started"])
    return {
        "name": name,
        "content": " + ".join(contents),
        "style": " + ".join(styles),
        "target": _address((*targets, folder)[0]),
        "thumbnail": _address(shown[0]) if shown else "",
        "picture": _address(pictures[0]) if pictures else "",
        "about": ", ".join([*about, when[:16].replace("T", " ")]),
        "seconds": datetime.datetime.fromisoformat(when).timestamp(),
        "cost": "" if cost is None else cost,
    }


def _address(path: Path) -> str:
    """A path relative to the page, for a link."""
    depth = 1 if path.is_dir() else 2
    return quote(os.fsencode("/".join(path.parts[-depth:])) + b"/" * path.is_dir())
