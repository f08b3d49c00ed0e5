"""Which files of an output folder this program wrote: no other is ever overwritten or removed."""

import contextlib
import re
from pathlib import Path
from typing import Any

from PIL import Image

from nst import layout
from nst.files import file_hash
from nst.pictures.thumbnails import open_picture

MARK = layout.MARK.encode()
MARKS_OF_PAGES = (
    re.compile(rb'<meta name="generator" content="' + MARK),
    re.compile(rb"<title>" + MARK + rb": [0-9]+ pictures?</title>"),  # gallery, up to 0.8
    re.compile(rb'<script type="application/json" id="data">.*\n<script>'),  # report, up to 0.8
)
ENDS = 65_536  # bytes at the beginning and at the end of a file that may hold a mark
PICTURES = (b"\x89PNG", b"\xff\xd8", b"RIFF")  # first bytes of those that Pillow reads whole
UNMARKED = (layout.PLOT, layout.THUMBNAIL, f"{layout.ANIMATION}.*")  # up to 0.8
SAME_TIME = 2.0  # seconds, which file systems may round to


def is_own_page(path: Path) -> bool:
    """Whether this program wrote a page; False if it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError:
        return False
    return any(mark.search(data) for mark in MARKS_OF_PAGES)


def foreign_files(folder: Path, manifest: dict[str, Any]) -> list[Path]:
    """The files in a run folder that have the name of a result and are not by this program.

    manifest: of the run. The picture of a finished run that somebody changed is no longer ours; one
    that is damaged is, as nobody can have use for it.
    """
    patterns = [pattern for pattern in layout.RESULTS if pattern != layout.MANIFEST]
    paths = {path: None for pattern in patterns for path in sorted(folder.glob(pattern))}
    return [path for path in paths if not _is_own(path, folder, manifest)]


def _is_own(path: Path, folder: Path, manifest: dict[str, Any]) -> bool:
    try:
        with open(path, "rb") as file:
            head = file.read(ENDS)
            file.seek(max(0, path.stat().st_size - ENDS))
            ends = head + file.read()
        if not ends.strip(b"\0"):
            return True  # what a power cut leaves
        if path.suffix == ".html":
            return is_own_page(path)
        if path.suffix == ".csv":
            return head.startswith(b"iteration,")
        if any(path.match(pattern) for pattern in UNMARKED):
            changed = path.stat().st_mtime - (folder / layout.MANIFEST).stat().st_mtime
            return MARK in ends or changed < SAME_TIME
        if MARK in ends and _recorded_hash(path, manifest) in (None, file_hash(path)):
            return True
        is_picture = head.startswith(PICTURES) or path.match(layout.FRAMES)
        return is_picture and open_picture(path) is None
    except (OSError, Image.DecompressionBombError):
        return False


def _recorded_hash(path: Path, manifest: dict[str, Any]) -> str | None:
    """The SHA-256 of a finished picture as its manifest tells, None for other files."""
    if path.stem != layout.RESULT:
        return None
    with contextlib.suppress(LookupError, TypeError):
        return manifest["results"][path.suffix[1:]]["sha256"]
    return manifest.get("result_sha256")
