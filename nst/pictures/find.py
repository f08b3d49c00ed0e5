"""Names on a command line -> picture files: files, folders and globs."""

import glob
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nst import ROOT
from nst.errors import MemoryLimitError, PictureError
from nst.layout import COSTS, MANIFEST
from nst.pictures.camera_raw import EXTENSIONS as RAW_EXTENSIONS
from nst.pictures.read import error_text, peek_size

SHIPPED = ROOT / "images"

# File names with these endings count as pictures. Some of these formats cannot be read, some only
# by packages that may be missing: a user wants to know which pictures in a folder were left out.
EXTENSIONS = frozenset(
    f".{name}"
    for names in (
        "avif avifs apng bmp dib gif jpg jpeg jpe jfif jp2 j2k jpc jpf jpx png pbm pgm ppm pnm pfm",
        "tga icb vda vst tif tiff webp",
        "heic heics heif heifs hif jxl psd",
    )
    for name in names.split()
)
EXTENSIONS |= RAW_EXTENSIONS


def shipped_picture(name: str) -> Path | None:
    """The picture called ``name`` in ``images/``; None if there is none."""
    return SHIPPED / name if (SHIPPED / name).exists() else None


def find_picture(name: str, setting: str) -> Path:
    """Return the path of the file called ``name``; a bare name is also looked up in ``images/``.

    ``setting`` is named in the error message. Raises PictureError if it is no readable file.
    """
    path = Path(name)
    try:
        if not path.exists() and path.name == name:
            path = shipped_picture(name) or path
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        where = " here or in images/" if path.name == name else ""
        raise PictureError(f"{name}: no such file{where}; check --{setting}") from None
    except (OSError, ValueError) as error:
        raise PictureError(f"{name}: {error_text(error)}; check --{setting}") from None
    if stat.S_ISDIR(mode):
        raise PictureError(f"{name}: is a folder; give a picture file with --{setting}")
    if not stat.S_ISREG(mode):  # a pipe or device could block or never end
        raise PictureError(f"{name}: is not a regular file; give a picture file with --{setting}")
    if not os.access(path, os.R_OK):
        raise PictureError(f"{name}: permission denied; make it readable or change --{setting}")
    return path


@dataclass
class FoundPictures:
    """The picture files that a list of names stands for.

    pictures: (path, (width, height) upright, in pixels) of each picture.
    left_out: {path: reason} of unreadable pictures in folders and globs.
    broken: {path: reason} of unreadable pictures given by their own names.
    others: number of files in folders without the name of a picture.
    swept: whether a folder or a glob was among the names.
    seen: all paths examined.
    """

    pictures: list[tuple[Path, tuple[int, int]]] = field(default_factory=list)
    left_out: dict[Path, str] = field(default_factory=dict)
    broken: dict[Path, str] = field(default_factory=dict)
    others: int = 0
    swept: bool = False
    seen: set[Path] = field(default_factory=set)


def collect_pictures(
    names: tuple[str, ...], setting: str, output_dir: Path, repeat: bool = False
) -> FoundPictures:
    """Find the pictures that ``names`` stand for, in the order of the names.

    names: files, folders and globs. A folder stands for its pictures and those of its subfolders,
        sorted, without hidden files, ``output_dir`` and run folders. A bare name is also looked up
        in ``images/``.
    repeat: whether a picture that is named twice counts twice.

    Only the heads of the files are read. Raises PictureError if a name stands for nothing, and if
    none of the pictures can be read.
    """
    collected = FoundPictures()
    for name in names:
        paths = _folder_or_glob(name)
        if paths is None:
            path = find_picture(name, setting)
            _peek(path, collected, collected.broken, repeat)
            continue
        collected.swept = True
        if not paths:
            raise PictureError(f"{name}: no such file, folder or match; check --{setting}")
        walk = _Walk(output_dir)
        for path in paths:
            for file in walk.files(path):
                _peek(file, collected, collected.left_out, repeat)
        collected.left_out |= walk.unreadable
        collected.others += walk.others
    if not collected.pictures:
        unusable = collected.left_out | collected.broken
        if not unusable:
            raise PictureError(
                f"{names[0]}: no pictures in this folder (run folders do not count); "
                f"check --{setting}"
            )
        (path, reason), *more = unusable.items()
        rest = f" (nor can {len(more)} other pictures be read)" if more else ""
        raise PictureError(f"{path}: {reason}{rest}")
    return collected


def _peek(path: Path, collected: FoundPictures, unusable: dict[Path, str], repeat: bool) -> None:
    """Add a picture and its size to ``collected``, or the reason against it to ``unusable``."""
    if not repeat and path in collected.seen:
        return
    collected.seen.add(path)
    try:
        collected.pictures.append((path, peek_size(path)))
    except (MemoryLimitError, PictureError) as error:
        unusable[path] = str(error).removeprefix(f"{path}: ")


def _folder_or_glob(name: str) -> list[Path] | None:
    """The folder called ``name``, or the matches of a glob; None for the name of a file."""
    path = Path(name)
    try:
        if path.exists():
            return [path] if path.is_dir() else None
    except (OSError, ValueError):
        return None
    if not glob.has_magic(name):
        return None
    matches = _recursive_glob(path) if "**" in path.parts else sorted(glob.glob(name))
    if not matches and path.name == name:
        return [SHIPPED / match for match in sorted(glob.glob(name, root_dir=SHIPPED))]
    return [Path(match) for match in matches]


def _recursive_glob(pattern: Path) -> list[str]:
    """The matches of a pattern with ``**``, without hidden files.

    Links are not followed: they may form circles.
    """
    root = Path(pattern.anchor)
    try:
        matches = list(root.glob(str(pattern.relative_to(root))))
    except (OSError, RecursionError):
        raise PictureError(f"{pattern}: cannot be searched; give a folder instead") from None
    return sorted(str(match) for match in matches if not _is_hidden(match))


def _is_hidden(path: Path) -> bool:
    """Whether the path or a folder on its way is hidden."""
    return any(part.startswith(".") for part in path.parts if part != "..")


class _Walk:
    """Goes through folders, visiting each once, as links may form circles.

    others: number of files met that are no pictures by their names.
    unreadable: {path: reason} of the pictures and folders that could not be opened.
    """

    def __init__(self, output_dir: Path) -> None:
        self.others = 0
        self.unreadable: dict[Path, str] = {}
        self._visited: set[tuple[int, int]] = set()  # (device, inode) of each folder
        self._output_dir = output_dir

    def _visit(self, folder: Path) -> bool:
        """Mark a folder as visited; False if it is gone or was visited before."""
        try:
            status = folder.stat()
        except OSError:
            return False
        key = (status.st_dev, status.st_ino)
        is_new = key not in self._visited
        self._visited.add(key)
        return is_new

    def files(self, path: Path) -> Iterator[Path]:
        """Yield ``path`` or the files below it that are pictures by their names."""
        waiting = [path]
        if not _same_file(path, self._output_dir):  # the output folder is skipped unless named
            self._visit(self._output_dir)
        while waiting:
            path = waiting.pop()
            is_picture = path.suffix.lower() in EXTENSIONS
            try:
                mode = path.stat().st_mode
                if stat.S_ISDIR(mode):
                    if self._visit(path):
                        waiting += reversed(_entries(path))
                elif is_picture and stat.S_ISREG(mode):
                    yield path
                else:
                    self.others += 1
            except OSError as error:
                if is_picture or os.path.isdir(path):
                    self.unreadable[path] = str(error.strerror)


def _same_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to the same file or folder; False if one does not exist."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def _entries(folder: Path) -> list[Path]:
    """The paths in a folder, sorted, without hidden ones; none for a run folder."""
    names = sorted(os.listdir(folder))
    if {MANIFEST, COSTS} <= set(names):
        return []
    return [folder / name for name in names if not name.startswith(".")]
