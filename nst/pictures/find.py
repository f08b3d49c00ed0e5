"""Names on a command line -> picture files: files, folders and globs."""

import glob
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from nst import ROOT
from nst.errors import MemoryLimitError, PictureError
from nst.layout import COSTS, MANIFEST
from nst.pictures.camera_raw import EXTENSIONS as RAW_EXTENSIONS
from nst.pictures.left_alone import (
    EXCLUDED,
    HIDDEN,
    OTHER_FILE,
    RUN_FOLDER,
    SYSTEM_FOLDER,
    Exclusion,
    LeftAlone,
    is_hidden,
    is_system_folder,
)
from nst.pictures.read import error_text, peek_size
from nst.text import count_text

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


def is_picture_name(path: Path) -> bool:
    """Whether a file counts as a picture by the ending of its name."""
    return path.suffix.lower() in EXTENSIONS


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
    left_alone: what is no picture by its name, hidden, a system's own, or excluded.
    no_pictures: {path: reason} of files among several names that are left alone as other files.
    swept: whether a folder or a glob was among the names.
    seen: all paths examined.
    """

    pictures: list[tuple[Path, tuple[int, int]]] = field(default_factory=list)
    left_out: dict[Path, str] = field(default_factory=dict)
    broken: dict[Path, str] = field(default_factory=dict)
    left_alone: LeftAlone = field(default_factory=LeftAlone)
    no_pictures: dict[Path, str] = field(default_factory=dict)
    swept: bool = False
    seen: set[Path] = field(default_factory=set)


def collect_pictures(
    names: tuple[str, ...],
    setting: str,
    output_dir: Path,
    repeat: bool = False,
    exclude: tuple[str, ...] = (),
) -> FoundPictures:
    """Find the pictures that ``names`` stand for, in the order of the names.

    names: files, folders and globs. A folder stands for its pictures and those of its subfolders,
        sorted, without hidden files, folders that a system makes for itself, ``output_dir`` and
        run folders. A bare name is also looked up in ``images/``. Of several names, as a shell
        makes them of ``photos/*``, those that are not of pictures are left alone, too.
    repeat: whether a picture that is named twice counts twice.
    exclude: patterns of files and folders that are left alone.

    Only the heads of the files are read. Raises PictureError if a name stands for nothing, and if
    none of the pictures can be read.
    """
    collected = FoundPictures()
    exclusion = Exclusion(exclude)
    several = len(names) > 1
    for name in names:
        path = Path(name)
        kind = (
            EXCLUDED if exclusion.covers(path, path.parent) else several and _kind_left_alone(path)
        )
        if kind:
            collected.left_alone.add(kind, path)
            continue
        swept = _folder_or_glob(name)
        if swept is None:
            _add_named(find_picture(name, setting), several, repeat, collected)
            continue
        collected.swept = True
        base, paths = swept
        if not paths:
            raise PictureError(f"{name}: no such file, folder or match; check --{setting}")
        walk = _Walk(output_dir, base, exclusion, collected.left_alone)
        for path in paths:
            for file in walk.files(path):
                _peek(file, collected, collected.left_out, repeat)
        collected.left_out |= walk.unreadable
    if not collected.pictures:
        _refuse(names[0], setting, collected)
    return collected


def _kind_left_alone(path: Path) -> str | None:
    """Why one of several named files or folders is left alone; None for one that is meant."""
    if os.path.isdir(path):
        return SYSTEM_FOLDER if is_system_folder(path.name) else None
    if not os.path.lexists(path):
        return None
    if path.name.startswith("._"):  # of macOS, beside the file itself
        return HIDDEN
    usable = os.path.isfile(path) and os.access(path, os.R_OK)
    return None if is_picture_name(path) or usable else OTHER_FILE


def _add_named(path: Path, several: bool, repeat: bool, collected: FoundPictures) -> None:
    """Add a picture that was given by its own name, whatever ending that has."""
    if is_picture_name(path) or not several:
        _peek(path, collected, collected.broken, repeat)
        return
    before = len(collected.no_pictures)
    _peek(path, collected, collected.no_pictures, repeat)
    if len(collected.no_pictures) > before:
        collected.left_alone.add(OTHER_FILE, path)


def _refuse(name: str, setting: str, collected: FoundPictures) -> NoReturn:
    """Raise the PictureError of names that stand for no picture that can be read."""
    unusable = collected.left_out | collected.broken or collected.no_pictures
    if unusable:
        (path, reason), *more = unusable.items()
        rest = f" (nor can {count_text(len(more), 'other picture')} be read)" if more else ""
        raise PictureError(f"{path}: {reason}{rest}")
    left = collected.left_alone.text()
    left = f"left alone: {left}" if left else "run folders do not count"
    raise PictureError(f"{name}: no pictures in this folder ({left}); check --{setting}")


def _peek(path: Path, collected: FoundPictures, unusable: dict[Path, str], repeat: bool) -> None:
    """Add a picture and its size to ``collected``, or the reason against it to ``unusable``."""
    if not repeat and path in collected.seen:
        return
    collected.seen.add(path)
    try:
        collected.pictures.append((path, peek_size(path)))
    except (MemoryLimitError, PictureError) as error:
        unusable[path] = str(error).removeprefix(f"{path}: ")


def _folder_or_glob(name: str) -> tuple[Path, list[Path]] | None:
    """The folder called ``name``, or the matches of a glob, each below a base folder.

    Returns the base, which is the folder itself, and the paths; None for the name of a file.
    """
    path = Path(name)
    try:
        if path.exists():
            return (path, [path]) if path.is_dir() else None
    except (OSError, ValueError):
        return None
    if not glob.has_magic(name):
        return None
    base, matches = _matches(name)
    if not matches:  # brackets may be those of the names themselves
        base, matches = _matches(name.replace("[", "[[]"))
    return base, matches


def _matches(pattern: str) -> tuple[Path, list[Path]]:
    """The base folder of a glob, and the paths that it matches, sorted.

    The folders at its beginning that are there by that very name are the base, and no patterns:
    ``[2019] trip/*``.
    """
    parts = Path(pattern).parts
    count = 0
    while count < len(parts) - 1 and os.path.lexists(Path(*parts[: count + 1])):
        count += 1
    base, rest = Path(*parts[:count]), str(Path(*parts[count:]))
    if "**" in parts[count:]:
        return base, _recursive_glob(base, rest)
    matches = glob.glob(rest, root_dir=base)
    if not matches and len(parts) == 1:
        base, matches = SHIPPED, glob.glob(rest, root_dir=SHIPPED)
    return base, [base / match for match in sorted(matches)]


def _recursive_glob(base: Path, pattern: str) -> list[Path]:
    """The matches of a pattern with ``**`` below a folder, without hidden files.

    Links are not followed: they may form circles.
    """
    try:
        matches = [match.relative_to(base) for match in base.glob(pattern)]
    except (OSError, RecursionError):
        raise PictureError(f"{base / pattern}: cannot be searched; give a folder instead") from None
    return sorted(base / match for match in matches if not any(map(is_hidden, match.parts)))


class _Walk:
    """Goes through folders, visiting each once, as links may form circles.

    unreadable: {path: reason} of the pictures and folders that could not be opened.
    """

    def __init__(
        self, output_dir: Path, base: Path, exclusion: Exclusion, left_alone: LeftAlone
    ) -> None:
        """base: the folder that was named. left_alone: takes what is left alone."""
        self.unreadable: dict[Path, str] = {}
        self._visited: set[tuple[int, int]] = set()  # (device, inode) of each folder
        self._output_dir, self._base = output_dir, base
        self._exclusion, self._left_alone = exclusion, left_alone

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

    def files(self, top: Path) -> Iterator[Path]:
        """Yield ``top`` or the files below it that are pictures by their names."""
        if not _same_file(top, self._output_dir):  # the output folder is skipped unless named
            self._visit(self._output_dir)
        kind = self._kind_of_match(top)
        if kind:
            self._left_alone.add(kind, top)
            return
        waiting = [top]
        while waiting:
            path = waiting.pop()
            is_picture = is_picture_name(path)
            try:
                mode = path.stat().st_mode
                if path != top and (kind := self._kind(path, stat.S_ISDIR(mode))):
                    self._left_alone.add(kind, path)
                elif stat.S_ISDIR(mode):
                    if self._visit(path):
                        waiting += reversed(self._entries(path))
                elif is_picture and stat.S_ISREG(mode):
                    yield path
                else:
                    self._left_alone.add(OTHER_FILE, path)
            except OSError as error:
                if is_picture or os.path.isdir(path):
                    self.unreadable[path] = str(error.strerror)

    def _kind(self, path: Path, is_folder: bool) -> str | None:
        """Why a file or folder below the base is left alone; None if it is not."""
        if is_hidden(path.name):
            return HIDDEN
        if is_folder and is_system_folder(path.name):
            return SYSTEM_FOLDER
        return EXCLUDED if self._exclusion.covers(path, self._base) else None

    def _kind_of_match(self, match: Path) -> str | None:
        """Likewise for a match of a glob, whose folders count; None for the base itself."""
        path = self._base
        for part in match.relative_to(self._base).parts:
            path = path / part
            if is_hidden(part):
                continue  # the pattern asked for it
            if kind := self._kind(path, path != match or os.path.isdir(path)):
                return OTHER_FILE if kind == SYSTEM_FOLDER and path != match else kind
        return None

    def _entries(self, folder: Path) -> list[Path]:
        """The paths in a folder, sorted; none for a run folder."""
        names = sorted(os.listdir(folder))
        if {MANIFEST, COSTS} <= set(names):
            self._left_alone.add(RUN_FOLDER, folder)
            return []
        return [folder / name for name in names]


def _same_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to the same file or folder; False if one does not exist."""
    try:
        return one.samefile(other)
    except OSError:
        return False
