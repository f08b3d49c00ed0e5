"""The finished picture under a name of the user's own in the output folder (--output_name)."""

import contextlib
import hashlib
import itertools
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nst.files import file_hash, output_error, replacing, write_atomically
from nst.layout import read_manifest
from nst.output_names import fill_in, name_format
from nst.runs.folder_names import shortened
from nst.runs.job import Job


@dataclass(frozen=True)
class FlatCopy:
    """A picture in the output folder.

    name: that it was to have. file: the one it has, as names may be taken. sha256: of the file.
    """

    name: str
    file: str
    sha256: str

    @classmethod
    def recorded(cls, about: dict[str, Any]) -> "FlatCopy | None":
        """The one of a manifest, None without one."""
        with contextlib.suppress(LookupError, TypeError, AttributeError):
            found = about["output_file"]
            return cls(*(str(found[name]) for name in ("name", "file", "sha256")))
        return None

    def to_json(self) -> dict[str, str]:
        """The object that stands in ``run.json``."""
        return asdict(self)


def own_copies(folder: Path) -> set[Path]:
    """The copies that runs have put in an output folder, as their manifests tell."""
    copies = map(FlatCopy.recorded, map(read_manifest, folder.glob("*/")))
    return {folder / copy.file for copy in copies if copy}


def wanted_name(job: Job) -> str | None:
    """The name that the settings of a job ask for, None for none."""
    pattern = job.settings.output_name
    if pattern is None:
        return None
    content, style = map(shortened, job.stems)
    values = {**vars(job.settings), "content": content, "style": style}
    return fill_in(pattern, values, job.settings.output_format)


def wanted_kind(job: Job) -> str | None:
    """The kind of that file."""
    name = wanted_name(job)
    return None if name is None else name_format(name)


def put(folder: Path, name: str, data: bytes, before: FlatCopy | None) -> FlatCopy:
    """Write a picture below ``folder``, under ``name`` or, where that is taken, with a number.

    before: what this very run has put there, which is replaced if nobody has changed it. No other
    file is ever overwritten. Raises OutputError.
    """
    sha256 = hashlib.sha256(data).hexdigest()
    own = before.file if before and before.name == name else None
    stem, suffix = os.path.splitext(name)
    numbered = (f"{stem}-{number}{suffix}" for number in itertools.count(2))
    for file in itertools.chain([own] if own else [], [name], numbered):
        path = folder / file
        try:
            if not os.path.lexists(path):
                if not _create(path, data):
                    continue  # another process was faster
            elif (there := _hash(path)) != sha256:
                if not before or file != own or there != before.sha256:
                    continue
                write_atomically(path, data)
        except OSError as error:
            raise output_error(path, error) from None
        return FlatCopy(name, file, sha256)
    raise AssertionError("there is always a free number")


def _hash(path: Path) -> str | None:
    """The hash of a file; None for a folder, a link to nowhere, and what cannot be read."""
    try:
        return file_hash(path) if path.is_file() else None
    except OSError:
        return None


def _create(path: Path, data: bytes) -> bool:
    """Make a file that is not there yet, whole or not at all; False if it is there by now."""
    try:
        with contextlib.suppress(_LinkedError), replacing(path) as temporary:
            temporary.write_bytes(data)
            os.link(temporary, path)
            raise _LinkedError
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        with contextlib.suppress(FileExistsError), open(path, "xb") as file:
            file.write(data)
            return True
        return False
    return True


class _LinkedError(Exception):
    """The file has its name, and its temporary one is to be removed."""
