"""What is left alone in a folder of pictures: hidden and system files, and what a user excludes."""

import fnmatch
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nst.text import count_text

# Folders that servers, operating systems and photo programs make for themselves, in lower case:
# they hold thumbnails, deleted files and former states of the pictures beside them.
SYSTEM_FOLDERS = (
    *("@eadir", "@tmp", "@sharebin", "#recycle", "#snapshot"),  # Synology
    *("@recycle", "@recently-snapshot", "@__thumb"),  # QNAP
    "~snapshot",  # NetApp
    *("$recycle.bin", "recycler", "system volume information", "found.[0-9][0-9][0-9]"),  # Windows
    *("__macosx", "network trash folder", "temporary items"),  # macOS
    *("lost+found", "lost.dir"),  # Linux, Android
    *("*.lrdata", "*.lrcat-data", "*.photoslibrary", "*.aplibrary"),  # Lightroom, Photos, Aperture
    "appdata_oc*",  # Nextcloud
)
MOST_NAMES = 5  # of system folders, in the line for the user
# What is counted: singular nouns, in the order of the line for the user.
OTHER_FILE, HIDDEN, SYSTEM_FOLDER = "other file", "hidden one", "system folder"
RUN_FOLDER, COPY = "folder of earlier results", "earlier result"
EXCLUDED = "excluded one"
KINDS = (OTHER_FILE, HIDDEN, SYSTEM_FOLDER, RUN_FOLDER, COPY, EXCLUDED)


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden: .Trashes, .thumbnails, and ._photo.jpg of macOS."""
    return name.startswith(".")


def is_system_folder(name: str) -> bool:
    """Whether a system or a photo program makes folders of this name for itself."""
    return any(fnmatch.fnmatchcase(name.casefold(), pattern) for pattern in SYSTEM_FOLDERS)


class Exclusion:
    """Tells which files and folders the patterns of ``--exclude`` mean.

    A pattern is compared with names, and with paths relative to the folder that was named; its
    ``*`` also stands for slashes.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = [_posix(p).removeprefix("./").rstrip("/") or "/" for p in patterns]

    def covers(self, path: Path, top: Path) -> bool:
        """Whether a file or folder is excluded. top: the folder that was named."""
        if not self._patterns:
            return False
        relative = _posix(path.relative_to(top))
        candidates = (path.name, relative, f"/{relative}", f"/{relative}/")  # */cache/* at the top
        prefix = f"{_posix(top)}/"  # the named folder itself, as a shell completes it
        return any(
            fnmatch.fnmatch(candidate, pattern.removeprefix(prefix))
            for pattern in self._patterns
            for candidate in candidates
        )


def _posix(path: str | Path) -> str:
    return os.fspath(path).replace(os.sep, "/")


@dataclass
class LeftAlone:
    """Counts of what was left alone. counts: by kind. system_folders: their names, by number."""

    counts: Counter[str] = field(default_factory=Counter)
    system_folders: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, path: Path) -> None:
        """Count a file or folder."""
        self.counts[kind] += 1
        if kind == SYSTEM_FOLDER:
            self.system_folders[path.name] += 1

    def merged(self, other: "LeftAlone") -> "LeftAlone":
        """The counts of both."""
        return LeftAlone(self.counts + other.counts, self.system_folders + other.system_folders)

    @property
    def total(self) -> int:
        """Number of files and folders."""
        return self.counts.total()

    def text(self) -> str:
        """``2 other files, 3 system folders (@eaDir, #recycle)``; empty if there are none."""
        names = sorted(self.system_folders)
        more = ", ..." if len(names) > MOST_NAMES else ""
        parts = []
        for kind in filter(self.counts.get, KINDS):
            note = f" ({', '.join(names[:MOST_NAMES])}{more})" if kind == SYSTEM_FOLDER else ""
            noun, of, rest = kind.partition(" of ")
            parts.append(count_text(self.counts[kind], noun) + of + rest + note)
        return ", ".join(parts)
