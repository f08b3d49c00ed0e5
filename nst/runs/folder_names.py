"""Names of run folders: how a disk is asked for them, and in what other words where it refuses."""

import contextlib
import hashlib
import os
import re
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

LONGEST_STEM = 100  # bytes of the stem of content or styles in a name
NAME_MAX = 255  # bytes of a name, where the disk does not tell
NUMBER = 8  # bytes that are left free for -2, -3 ...
SHORT = 60  # bytes of the name that every disk takes, without its number
NUMBERED = re.compile("(.*?)(?:-([1-9][0-9]*))?", re.DOTALL)
# Refused by Windows, and by the file systems FAT, exFAT and NTFS, wherever they are mounted:
REFUSED = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])\s*(\.|$)", re.IGNORECASE)


def folder_name(stems: tuple[str, str]) -> str:
    """The ordinary name of the first run folder for the stems of content and style."""
    return "__".join(map(shortened, stems))


def spellings(stems: tuple[str, str], output_dir: Path) -> list[str]:
    """Names for a run folder, each for disks that refuse the one before.

    The ordinary one, shortened if the disk tells that it takes only shorter ones; one without the
    characters and words that Windows and its file systems refuse; a short one of ASCII.
    """
    digest = hashlib.sha256(os.fsencode("__".join(stems))).hexdigest()[:8]
    longest = _name_max(output_dir) - NUMBER
    plain = folder_name(stems)
    if len(os.fsencode(plain)) > longest:
        plain = f"{_cut(plain, longest - len(digest) - 1)}_{digest}"
    portable = _portable(plain)
    ascii_name = portable.encode("ascii", "replace").decode().replace("?", "_")
    short = f"{ascii_name[: SHORT - len(digest) - 1]}_{digest}"
    return list(dict.fromkeys((plain, portable, short)))


def _portable(name: str) -> str:
    """A name without what Windows and its file systems refuse."""
    name = REFUSED.sub("_", unicodedata.normalize("NFC", name)).rstrip(" .") or "_"
    return f"_{name}" if RESERVED.match(name) else name


def shortened(stem: str) -> str:
    """A stem of at most LONGEST_STEM bytes."""
    return _cut(stem, LONGEST_STEM) or "picture"


def _cut(text: str, size: int) -> str:
    """The beginning of a name, of at most ``size`` bytes."""
    return os.fsencode(text)[:size].decode(sys.getfilesystemencoding(), "ignore")


def _name_max(folder: Path) -> int:
    """The most bytes of a name on the disk of a folder, which need not exist yet."""
    for existing in (folder, *folder.absolute().parents):
        with contextlib.suppress(OSError, AttributeError, ValueError):  # Windows does not tell
            return os.pathconf(existing, "PC_NAME_MAX")
    return NAME_MAX


def fold(name: str) -> str:
    """The same text for names that some disk holds to be one: by case, or by NFC and NFD."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def first_names(output_dir: Path) -> set[str]:
    """What is in the output folder, folded, with its numbers and without."""
    try:
        names = set(map(fold, os.listdir(output_dir)))
    except OSError:
        return set()
    return names | {_split(name)[0] for name in names}


def existing_folders(output_dir: Path, *names: str) -> list[Path]:
    """The existing paths of each name, and that with -2, -3 ..., in an output folder, in order.

    Those whose names differ in case or in the form of Unicode count, too: on another disk, where
    they may have been before, they are the same. And those that only the disk knows by that name.
    """
    try:
        entries = {entry: fold(entry) for entry in sorted(os.listdir(output_dir))}
    except OSError:
        return []
    paths = [path for name in names for path in _existing(output_dir / name, entries)]
    return list(dict.fromkeys(paths))


def _existing(first: Path, entries: dict[str, str]) -> list[Path]:
    """Those of one name. entries: what is in the output folder, with its folded name."""
    paths: dict[int, list[Path]] = {}
    wanted = fold(first.name)
    for entry, folded in entries.items():
        if folded.startswith(wanted):
            base, number = (folded, 1) if folded == wanted else _split(folded)
            if base == wanted:
                paths.setdefault(number, []).append(first.with_name(entry))
    for number, path in enumerate(numbered(first), 1):
        if not os.path.lexists(path):
            break
        known = paths.get(number, [])
        if path in known or not known:  # else the disk means one of those
            paths[number] = [path, *(other for other in known if other != path)]
    return [path for number in sorted(paths) for path in paths[number]]


def numbered(path: Path) -> Iterator[Path]:
    """Yield ``path``, and that with -2, -3, ... behind its name."""
    yield path
    number = 2
    while True:
        yield path.with_name(f"{path.name}-{number}")
        number += 1


def _split(name: str) -> tuple[str, int]:
    """A name without its number, and that number; 1 for none."""
    match = NUMBERED.fullmatch(name)
    assert match  # it matches every text
    return match[1], int(match[2] or 1)
