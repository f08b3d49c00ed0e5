"""Which folder a run gets: its own from an earlier time, or a free name; kept for one process."""

import contextlib
import errno
import fnmatch
import itertools
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

from nst import checkpoint, manifest
from nst.errors import FullError, OutputError
from nst.files import file_hash
from nst.jobs import Job
from nst.settings import ANIMATIONS, OUTPUT_FORMATS

try:  # not on Windows, where two runs in one folder are not kept apart
    import fcntl
except ImportError:
    fcntl = None

RESULT = "generated_image"
FRAMES = "frame_[0-9]*.png"
COSTS = "costs.csv"
STYLE_COSTS = "style_costs.csv"
PLOT = "costs.png"
REPORT = "report.html"
THUMBNAIL = "thumbnail.jpg"
ANIMATION = "animation"
SUMMARIES = "tensorboard"
RESULTS = (
    FRAMES,
    *(f"{RESULT}.{kind}" for kind in OUTPUT_FORMATS),
    COSTS,
    STYLE_COSTS,
    PLOT,
    REPORT,
    THUMBNAIL,
    *(f"{ANIMATION}.{kind}" for kind in ANIMATIONS),
    manifest.NAME,
)
# Of a killed process:
LEFTOVERS = tuple(f".{name}.*.part" for name in (*RESULTS, *checkpoint.FILES))
LONGEST_STEM = 100  # bytes; file systems allow 255 for the whole name
FINISHED = "finished"
CLAIM_SECONDS = 10  # that processes starting together may need to sort out their folders


class Place:
    """The folder of one run below ``--output_dir``.

    path: of the folder. is_new: whether there is nothing of this run yet. unfinished, finished:
    whether it holds this run; with ``overwrite`` a finished one does not count as such.
    """

    def __init__(self, job: Job, identity: dict[str, Any]) -> None:
        """Choose the folder; make nothing yet."""
        self.job, self.identity = job, identity
        self._lock: int | None = None
        self._choose()

    def _choose(self) -> None:
        """The folder is the one of the same pictures, settings and weights if there is one; with
        ``overwrite`` else one of the same pictures; else the first free name.
        """
        job = self.job
        base = Path(job.settings.output_dir) / folder_name(job.stems)
        manifests = {path: manifest.read(path) for path in _numbered(base)}
        path, found = next(
            (item for item in manifests.items() if item[1].get("identity") == self.identity),
            (None, {}),
        )
        if path is None and job.settings.overwrite:
            same_pictures = (
                i for i in manifests.items() if i[1].get("inputs") == manifest.inputs(job)
            )
            path, found = next(same_pictures, (None, {}))
        if path is None:
            names = itertools.chain(
                [base], (base.with_name(f"{base.name}-{n}") for n in itertools.count(2))
            )
            path = next(name for name in names if name not in manifests or _is_empty(name))
        self._take(path, found)

    def _take(self, path: Path, found: dict[str, Any]) -> None:
        self.path = path
        finished = found.get("status") == FINISHED and _whole(self.picture, found)
        self.is_new = not found
        self.unfinished = bool(found) and not finished
        self.finished = finished and not self.job.settings.overwrite

    @property
    def picture(self) -> Path:
        """Where the finished picture is, or will be."""
        return self.path / f"{RESULT}.{self.job.settings.output_format}"

    def claim(self) -> None:
        """Make the folder if it is new, and lock it for as long as this process lives.

        Raises OSError, and OutputError where another process has it.
        """
        deadline = time.monotonic() + CLAIM_SECONDS
        while time.monotonic() < deadline:
            if self.is_new:
                self.path.mkdir(parents=True, exist_ok=True)
            if self._try_lock():
                found = manifest.read(self.path)
                if bool(found) != self.is_new:
                    self._take(self.path, found)
                    return
                self.close()  # another process took the name, or somebody cleared it
            elif self.is_new:
                time.sleep(0.1)  # a manifest is about to tell whose folder this is
            else:
                break
            self._choose()
        raise OutputError(
            f"{self.path}: another run is writing this folder; wait for it or change --output_dir"
        )

    def _try_lock(self) -> bool:
        self._lock = lock(self.path)
        return self._lock is not None

    @property
    def claimed(self) -> bool:
        """Whether this process has the folder."""
        return self._lock is not None

    def close(self) -> None:
        """Let other processes use the folder."""
        unlock(self._lock)
        self._lock = None


def lock(folder: Path) -> int | None:
    """Keep other processes out of a folder; return a handle for ``unlock``, None if one is there.

    Raises OSError if there is no such folder. Systems and file systems without locks let everyone
    in.
    """
    if fcntl is None:
        return -1
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except OSError:
        pass  # a file system without locks
    return handle


def unlock(handle: int | None) -> None:
    """Let others in again."""
    if handle is not None and handle >= 0:
        os.close(handle)


def folder_name(stems: tuple[str, str]) -> str:
    """The name of the first run folder of the stems of content and style."""
    return "__".join(map(_shortened, stems))


def folder_names(output_dir: Path) -> set[str]:
    """The names of the run folders that are there, with their numbers and without."""
    try:
        names = set(os.listdir(output_dir))
    except OSError:
        return set()
    return names | {re.sub("-[1-9][0-9]*$", "", name) for name in names}


def _shortened(stem: str) -> str:
    stem = os.fsencode(stem)[:LONGEST_STEM]
    return stem.decode(sys.getfilesystemencoding(), "ignore") or "picture"


def _numbered(base: Path) -> list[Path]:
    """What is there under the name ``base`` and its numbered followers, in order."""
    numbers = {}
    with contextlib.suppress(OSError):
        for path in base.parent.iterdir():
            head, number = path.name[: len(base.name)], path.name[len(base.name) :]
            if head == base.name and (not number or re.fullmatch("-[1-9][0-9]*", number)):
                numbers[int(number[1:] or 1)] = path
    return [numbers[number] for number in sorted(numbers)]


def _is_empty(path: Path) -> bool:
    """Whether a folder is there with nothing in it but what a killed process left."""
    try:
        return path.is_dir() and all(
            any(fnmatch.fnmatch(found.name, pattern) for pattern in LEFTOVERS)
            for found in path.iterdir()
        )
    except OSError:
        return False


def _whole(picture: Path, found: dict[str, Any]) -> bool:
    """Whether the finished picture is still the one that the manifest tells of."""
    try:
        return file_hash(picture) == found.get("result_sha256")
    except OSError:
        return False


def cannot_write(path: Path, error: OSError) -> OutputError:
    """The refusal of a file that cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        mend = "free some space or change --output_dir"
        return FullError(f"{path}: {error.strerror}; {mend}")
    if error.errno == errno.EROFS:
        return FullError(f"{path}: {error.strerror}; change --output_dir")
    return OutputError(f"{path}: {error.strerror}; mend that, or change --output_dir")
