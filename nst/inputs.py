"""Names on a command line -> picture files: files, folders and globs."""

import glob
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nst import images, manifest
from nst.errors import MemoryLimitError, PictureError
from nst.place import COSTS

# Of pictures, also of kinds that are not read, which a user may want to know.
EXTENSIONS = frozenset(
    f".{name}"
    for names in (
        "avif avifs apng bmp dib gif jpg jpeg jpe jfif jp2 j2k jpc jpf jpx png pbm pgm ppm pnm pfm",
        "tga icb vda vst tif tiff webp",
        "heic heif jxl psd cr2 cr3 nef arw dng raf orf rw2",
    )
    for name in names.split()
)


@dataclass
class Found:
    """What names stand for.

    pictures: files, each with its (width, height), upright. left_out: files of folders and globs
    that are pictures by their names but cannot be read, each with the reason. broken: likewise, of
    files that were named. others: how many files of folders are no pictures by their names. swept:
    whether a folder or a glob was among the names. seen: all files that were looked at.
    """

    pictures: list[tuple[Path, tuple[int, int]]] = field(default_factory=list)
    left_out: dict[Path, str] = field(default_factory=dict)
    broken: dict[Path, str] = field(default_factory=dict)
    others: int = 0
    swept: bool = False
    seen: set[Path] = field(default_factory=set)


def collect(names: tuple[str, ...], setting: str, output_dir: Path, repeat: bool = False) -> Found:
    """Find the pictures that ``names`` stand for, in the order of the names.

    repeat: whether a picture that is named twice counts twice.

    A name is a file, a folder (its pictures with all its subfolders, sorted; hidden ones,
    ``output_dir`` and run folders are left out), or a glob. A bare name is looked for in
    ``images/``, too. Only heads of files are read. Raises PictureError for a name that stands for
    nothing, for a single file that cannot be read, and if no picture can.
    """
    found = Found()
    for name in names:
        paths = _folder_or_glob(name)
        if paths is None:
            path = images.find(name, setting)
            _peek(path, found, found.broken, repeat)
            continue
        found.swept = True
        if not paths:
            raise PictureError(f"{name}: no such file, folder or match; check --{setting}")
        walk = _Walk(output_dir)
        for path in paths:
            for file in walk.files(path):
                _peek(file, found, found.left_out, repeat)
        found.left_out |= walk.unreadable
        found.others += walk.others
    if not found.pictures:
        unusable = found.left_out | found.broken
        if not unusable:
            raise PictureError(
                f"{names[0]}: no pictures in this folder (run folders do not count); "
                f"check --{setting}"
            )
        (path, reason), *more = unusable.items()
        rest = f" (nor can {len(more)} other pictures be read)" if more else ""
        raise PictureError(f"{path}: {reason}{rest}")
    return found


def _peek(path: Path, found: Found, unusable: dict[Path, str], repeat: bool) -> None:
    if not repeat and path in found.seen:
        return
    found.seen.add(path)
    try:
        found.pictures.append((path, images.peek(path)))
    except (MemoryLimitError, PictureError) as error:
        unusable[path] = str(error).removeprefix(f"{path}: ")


def _folder_or_glob(name: str) -> list[Path] | None:
    """The folder called ``name``, or what it matches as a glob; None for the name of a file."""
    path = Path(name)
    try:
        if path.exists():
            return [path] if path.is_dir() else None
    except (OSError, ValueError):
        return None
    if not glob.has_magic(name):
        return None
    found = _deep(path) if "**" in path.parts else sorted(glob.glob(name))
    if not found and path.name == name:
        found = sorted(glob.glob(name, root_dir=images.SHIPPED))
        return [images.SHIPPED / match for match in found]
    return [Path(match) for match in found]


def _deep(pattern: Path) -> list[str]:
    """What matches a pattern with ``**``. No links are followed: they may lead round in circles."""
    root = Path(pattern.anchor)
    try:
        matches = list(root.glob(str(pattern.relative_to(root))))
    except (OSError, RecursionError):
        raise PictureError(f"{pattern}: cannot be searched; give a folder instead") from None
    shown = (m for m in matches if not any(p.startswith(".") for p in m.parts if p != ".."))
    return sorted(map(str, shown))


class _Walk:
    """Through folders, each once: links may lead round in circles."""

    def __init__(self, output_dir: Path) -> None:
        self.others = 0
        self.unreadable: dict[Path, str] = {}
        self._seen: set[tuple[int, int]] = set()
        self._output_dir = output_dir

    def _add(self, folder: Path) -> bool:
        """Whether a folder is there and was not seen before."""
        try:
            about = folder.stat()
        except OSError:
            return False
        new = (about.st_dev, about.st_ino) not in self._seen
        self._seen.add((about.st_dev, about.st_ino))
        return new

    def files(self, path: Path) -> Iterator[Path]:
        """Yield what may be a picture: ``path``, or the files below it."""
        waiting = [path]
        if not _same(path, self._output_dir):  # else it was asked for
            self._add(self._output_dir)
        while waiting:
            path = waiting.pop()
            is_picture = path.suffix.lower() in EXTENSIONS
            try:
                mode = path.stat().st_mode
                if stat.S_ISDIR(mode):
                    if self._add(path):
                        waiting += reversed(_in_folder(path))
                elif is_picture and stat.S_ISREG(mode):
                    yield path
                else:
                    self.others += 1
            except OSError as error:
                if is_picture or os.path.isdir(path):
                    self.unreadable[path] = str(error.strerror)


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _in_folder(folder: Path) -> list[Path]:
    """What is in a folder, sorted; nothing of a run folder."""
    names = sorted(os.listdir(folder))
    if {manifest.NAME, COSTS} <= set(names):
        return []
    return [folder / name for name in names if not name.startswith(".")]
