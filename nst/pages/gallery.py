"""``index.html``: all the runs of an output folder on one page, opened from disk."""

import datetime
import math
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nst import layout
from nst.files import lock_folder, output_error, unlock_folder, write_atomically
from nst.layout import read_manifest
from nst.options import OUTPUT_FORMATS
from nst.pages.ownership import is_own_page
from nst.pages.render import render_page
from nst.text import count_text, picture_title

PATIENCE = 10.0  # seconds, for another process that is writing the page


def gallery_path(output_dir: Path) -> Path:
    """Where the gallery of an output folder is, or will be: no page of somebody else's is there."""
    number, path = 1, output_dir / layout.GALLERY
    while os.path.lexists(path) and not is_own_page(path):
        suffix = f"-{number}" if number > 1 else ""
        path = output_dir / f"{layout.OTHER_GALLERY}{suffix}.html"
        number += 1
    return path


def is_outdated_by(run: Path) -> bool:
    """Whether a run folder was finished after the gallery beside it was written."""
    try:
        written = gallery_path(run.parent).stat().st_mtime
        return written < (run / layout.MANIFEST).stat().st_mtime
    except OSError:
        return True


def write_gallery(output_dir: Path, say: Callable[[str], None] | None = None) -> Path | None:
    """Write the page of all runs in ``output_dir``, and return where it is; None without a run.

    say: gets a line for the user if the page has another name than usual, as its own is taken.
    Processes that end at the same time take turns, so that the page misses none of their runs; but
    none waits for long. Raises OutputError.
    """
    page = output_dir / layout.GALLERY
    try:
        if not output_dir.is_dir():
            return None
        deadline = time.monotonic() + PATIENCE
        while (handle := lock_folder(output_dir)) is None and time.monotonic() < deadline:
            time.sleep(0.05)
        try:
            page = gallery_path(output_dir)
            for left in output_dir.glob(f".{page.name}.*.part") if handle is not None else ():
                left.unlink()  # by a killed process
            runs = [_run_entry(folder) for folder in sorted(output_dir.glob("*/"))]
            entries = [entry for entry in runs if entry]
            if not entries:
                return None
            title = count_text(len(entries), "picture")
            entries.sort(key=lambda entry: entry["seconds"], reverse=True)
            write_atomically(page, render_page("gallery.html", title=title, runs=entries))
        finally:
            unlock_folder(handle)
    except OSError as error:
        raise output_error(page, error) from None
    if say and page.name != layout.GALLERY:
        taken = output_dir / layout.GALLERY
        say(f"{taken}: not written by this program, left alone; the gallery is {page}.")
    return page


def _run_entry(folder: Path) -> dict[str, Any] | None:
    """What the page shows of a run; None for a folder that holds none, or a forged manifest."""
    manifest = read_manifest(folder)
    try:
        return _describe(folder, manifest) if manifest.get("status") else None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return None


def _describe(folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    contents, styles = (
        [Path(file["path"]).name for file in manifest["files"][role]]
        for role in ("content", "style")
    )
    number = re.search("-[1-9][0-9]*$", folder.name)
    name = picture_title(next(iter(contents), None), styles) + (
        f" ({number[0][1:]})" if number else ""
    )
    finished = manifest["status"] == layout.FINISHED
    report, thumbnail = folder / layout.REPORT, folder / layout.THUMBNAIL
    if finished:
        pictures = [folder / f"{layout.RESULT}.{kind}" for kind in OUTPUT_FORMATS]
        pictures = [path for path in pictures if path.exists()]
        shown = [path for path in (thumbnail, *pictures) if path.exists()]
        targets = [path for path in (report, *pictures) if path.exists()]
    else:
        pictures = []
        shown = targets = list(layout.frames(folder).values())[-1:]
    cost = manifest.get("final_costs", {}).get("J")
    cost = cost if cost is not None and math.isfinite(cost) else None
    about = []
    if not finished:
        about.append(str(manifest["status"]))
    if "iterations" in manifest:
        about.append(f"{manifest['iterations']} iterations")
    if cost is not None:
        about.append(f"J {cost:.3g}")
    when = manifest.get("ended", manifest["started"])
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
    if path.is_dir():
        return quote(os.fsencode(f"{path.name}/"))
    return quote(os.fsencode("/".join(path.parts[-2:])))
