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
from nst.files import lock_folder, unlock_folder
from nst.layout import read_manifest
from nst.runs import manifest
from nst.runs.going_on import Origin, differences, find_origin, near_miss
from nst.runs.job import Job
from nst.runs.results import find_source, whole_results

LONGEST_STEM = 100  # bytes; file systems allow 255 for the whole name
# States of a folder with the same run, the best last: its picture was changed; it is unfinished;
# finished in a kind that has lost quality; in one of which the kind that is asked for can be made;
# in that kind.
DAMAGED, UNFINISHED, LOSSY, SERVES, DONE = range(5)
CLAIM_SECONDS = 10  # that processes starting together may need to sort out their folders


class FolderClaim:
    """The folder of one run below ``--output_dir``.

    path: the folder. is_new: True while it holds nothing of this run. unfinished, finished: True if
    it holds this run in that state; with ``overwrite`` no run counts as finished. about: the
    manifest that was found there, {} for a new folder. origin: another run that this one may go on
    from. near: a line for the user about another run that is nearly the same.
    """

    def __init__(self, job: Job, identity: dict[str, Any]) -> None:
        """Choose the folder; make nothing yet."""
        self.job, self.identity = job, identity
        self.near = ""
        self._lock: int | None = None
        self._busy: set[Path] = set()  # other processes go on with these runs
        self._choose()

    def _choose(self) -> None:
        """Choose the folder.

        The one of the same pictures, settings and weights if there is one; with ``overwrite`` else
        one of the same pictures; else that of an unfinished run whose position serves; else the
        first free name.
        """
        job = self.job
        base = Path(job.settings.output_dir) / folder_name(job.stems)
        manifests = {path: read_manifest(path) for path in _numbered(base)}
        self.origin: Origin | None = None
        self.near = ""
        if not job.settings.overwrite:
            others = {path: about for path, about in manifests.items() if path not in self._busy}
            self.origin = find_origin(job.settings, self.identity, others)
        same = [
            (self._state(path, about), path, about)
            for path, about in manifests.items()
            if differences(self.identity, about.get("identity")) == set()
        ]
        # Several differ in what changes no picture, as runs of earlier versions did.
        state, path, about = max(same, key=lambda run: run[0], default=(UNFINISHED, base, {}))
        if same and (state != LOSSY or job.settings.overwrite):
            self._take(path, about, state)
            return
        if job.settings.overwrite:
            inputs = manifest.inputs(job)
            for path, about in manifests.items():
                if about.get("inputs") == inputs:
                    self._take(path, about, self._state(path, about))
                    return
        if self.origin and self.origin.in_place:
            self._take(self.origin.folder, self.origin.manifest, UNFINISHED)
            return
        names = itertools.chain(
            [base], (base.with_name(f"{base.name}-{n}") for n in itertools.count(2))
        )
        free = next(name for name in names if name not in manifests or _is_empty(name))
        if same:
            self.near = (
                f"{path}: is finished as a JPEG alone, too poor to make a "
                f"{job.settings.output_format} of; it is painted again."
            )
        elif not job.settings.overwrite and not self.origin:
            self.near = near_miss(job.settings, self.identity, manifests)
        self._take(free, {}, UNFINISHED)

    def _state(self, path: Path, about: dict[str, Any]) -> int:
        """What a folder of this run is good for, UNFINISHED to DONE."""
        if about.get("status") != layout.FINISHED:
            return UNFINISHED
        whole = whole_results(path, about)
        if self.job.settings.output_format in whole:
            return DONE
        return SERVES if whole and find_source(path, about) else LOSSY if whole else DAMAGED

    def _take(self, path: Path, about: dict[str, Any], state: int) -> None:
        """Take a folder with its manifest, {} for a new one, and its state."""
        self.path, self.about = path, about
        self.is_new = not about
        finished = state in (SERVES, DONE)
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
            elif self.origin and self.path == self.origin.folder:
                self._busy.add(self.path)  # it goes on with its own epochs
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
    return "__".join(map(shortened, stems))


def folder_names(output_dir: Path) -> set[str]:
    """The names of the existing run folders, with their numbers and without."""
    try:
        names = set(os.listdir(output_dir))
    except OSError:
        return set()
    return names | {re.sub("-[1-9][0-9]*$", "", name) for name in names}


def shortened(stem: str) -> str:
    """A stem of at most LONGEST_STEM bytes."""
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
