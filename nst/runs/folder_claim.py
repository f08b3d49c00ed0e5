"""Choose the folder of a run - its own from an earlier run, or a free name - and lock it."""

import contextlib
import fnmatch
import itertools
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

from nst import layout
from nst.errors import OutputError
from nst.files import file_hash, lock_folder, unlock_folder
from nst.layout import read_manifest
from nst.runs import manifest
from nst.runs.earlier import completed
from nst.runs.job import Job

LONGEST_STEM = 100  # bytes; file systems allow 255 for the whole name
CLAIM_SECONDS = 10  # that processes starting together may need to sort out their folders


class FolderClaim:
    """The folder of one run below ``--output_dir``.

    path: the folder. is_new: True while it holds nothing of this run. unfinished, finished: True if
    it holds this run in that state; with ``overwrite`` no run counts as finished.
    """

    def __init__(self, job: Job, identity: dict[str, Any]) -> None:
        """Choose the folder; make nothing yet."""
        self.job, self.identity = job, identity
        self._lock: int | None = None
        self._choose()

    def _choose(self) -> None:
        """Choose the folder.

        The one of the same pictures, settings and weights if there is one; with ``overwrite`` else
        one of the same pictures; else the first free name.
        """
        job = self.job
        base = Path(job.settings.output_dir) / folder_name(job.stems)
        manifests = {path: read_manifest(path) for path in _numbered(base)}
        for path, about in manifests.items():
            if completed(about.get("identity")) == self.identity:
                self._take(path, about)
                return
        if job.settings.overwrite:
            inputs = manifest.inputs(job)
            for path, about in manifests.items():
                if about.get("inputs") == inputs:
                    self._take(path, about)
                    return
        names = itertools.chain(
            [base], (base.with_name(f"{base.name}-{n}") for n in itertools.count(2))
        )
        free = next(name for name in names if name not in manifests or _is_empty(name))
        self._take(free, {})

    def _take(self, path: Path, about: dict[str, Any]) -> None:
        """Take a folder with its manifest, {} for a new one."""
        self.path = path
        finished = about.get("status") == layout.FINISHED and _is_whole(self.picture, about)
        self.is_new = not about
        self.unfinished = bool(about) and not finished
        self.finished = finished and not self.job.settings.overwrite

    @property
    def picture(self) -> Path:
        """Where the finished picture is, or will be."""
        return self.path / f"{layout.RESULT}.{self.job.settings.output_format}"

    def claim(self) -> None:
        """Make the folder if it is new, and lock it for as long as this process lives.

        Raises OSError, and OutputError where another process has it.
        """
        deadline = time.monotonic() + CLAIM_SECONDS
        while time.monotonic() < deadline:
            if self.is_new:
                self.path.mkdir(parents=True, exist_ok=True)
            if self._try_lock():
                chosen = self.path
                self._choose()  # again: another process may have taken the name, or cleared it
                if self.path == chosen:
                    return
                self.close()
                continue
            if self.is_new:
                time.sleep(0.1)  # a manifest is about to tell whose folder this is
            else:
                break
            self._choose()
        raise OutputError(
            f"{self.path}: another run is writing this folder; wait for it or change --output_dir"
        )

    def _try_lock(self) -> bool:
        self._lock = lock_folder(self.path)
        return self._lock is not None

    @property
    def claimed(self) -> bool:
        """Whether this process has the folder."""
        return self._lock is not None

    def close(self) -> None:
        """Let other processes use the folder."""
        unlock_folder(self._lock)
        self._lock = None


def folder_name(stems: tuple[str, str]) -> str:
    """The name of the first run folder for the stems of content and style."""
    return "__".join(map(_shortened, stems))


def folder_names(output_dir: Path) -> set[str]:
    """The names of the existing run folders, with their numbers and without."""
    try:
        names = set(os.listdir(output_dir))
    except OSError:
        return set()
    return names | {re.sub("-[1-9][0-9]*$", "", name) for name in names}


def _shortened(stem: str) -> str:
    name = os.fsencode(stem)[:LONGEST_STEM]
    return name.decode(sys.getfilesystemencoding(), "ignore") or "picture"


def _numbered(base: Path) -> list[Path]:
    """The existing paths ``base``, ``base-2``, ``base-3`` ..., in order."""
    numbers = {}
    with contextlib.suppress(OSError):
        for path in base.parent.iterdir():
            head, number = path.name[: len(base.name)], path.name[len(base.name) :]
            if head == base.name and (not number or re.fullmatch("-[1-9][0-9]*", number)):
                numbers[int(number[1:] or 1)] = path
    return [numbers[number] for number in sorted(numbers)]


def _is_empty(path: Path) -> bool:
    """Whether a folder exists with nothing in it but temporary files of a killed process."""
    try:
        return path.is_dir() and all(
            any(fnmatch.fnmatch(file.name, pattern) for pattern in layout.LEFTOVERS)
            for file in path.iterdir()
        )
    except OSError:
        return False


def _is_whole(picture: Path, about: dict[str, Any]) -> bool:
    """Whether the finished picture is still the one of its manifest."""
    try:
        return file_hash(picture) == about.get("result_sha256")
    except OSError:
        return False
