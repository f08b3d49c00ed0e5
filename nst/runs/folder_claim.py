"""Choose the folder of a run - its own from an earlier run, or a free name - and lock it."""

import fnmatch
import os
import time
from pathlib import Path
from typing import Any

from nst import layout
from nst.errors import OutputError
from nst.files import file_hash, lock_folder, unlock_folder
from nst.layout import read_manifest
from nst.pages.ownership import foreign_files
from nst.runs import manifest
from nst.runs.earlier import completed
from nst.runs.folder_names import existing_folders, numbered, spellings
from nst.runs.job import Job

CLAIM_SECONDS = 10  # that processes starting together may need to sort out their folders


class FolderClaim:
    """The folder of one run below ``--output_dir``.

    path: the folder. is_new: True while it holds nothing of this run. unfinished, finished: True if
    it holds this run in that state; with ``overwrite`` no run counts as finished. note: a line for
    the user about a folder that could not be taken, or a name; else empty.
    """

    def __init__(self, job: Job, identity: dict[str, Any]) -> None:
        """Choose the folder; make nothing yet."""
        self.job, self.identity = job, identity
        self._lock: int | None = None
        self._output_dir = Path(job.settings.output_dir)
        self._names = spellings(job.stems, self._output_dir)
        self._refused: dict[str, OSError] = {}  # names that the disk did not take
        self.note = ""
        self._choose()

    def _choose(self) -> None:
        """Choose the folder.

        The one of the same pictures, settings and weights if there is one; with ``overwrite`` else
        one of the same pictures; else the first free name. One that holds a file of somebody else
        under the name of a result is left alone, unless the run in it is finished.
        """
        folders = existing_folders(self._output_dir, *self._names)
        manifests = {path: read_manifest(path) for path in folders}
        same = [
            path
            for path, about in manifests.items()
            if completed(about.get("identity")) == self.identity
        ]
        overwrite = self.job.settings.overwrite
        if overwrite:
            inputs = manifest.inputs(self.job)
            same += [path for path in folders if manifests[path].get("inputs") == inputs]
        for path in same:
            self._take(path, manifests[path])
            if self.finished:
                return
        foreign = {}
        for path in same:
            foreign[path] = foreign_files(path, manifests[path])
            if not foreign[path]:
                self._take(path, manifests[path])
                break
        else:
            name = next(name for name in self._names if name not in self._refused)
            paths = numbered(self._output_dir / name)
            self._take(next(path for path in paths if _is_free(path)), {})
        self.note = self._describe_choice({path: files for path, files in foreign.items() if files})

    def _describe_choice(self, foreign: dict[Path, list[Path]]) -> str:
        """A line for the user. foreign: files of somebody else, by the folder that has them."""
        notes = []
        for files in foreign.values():
            more = f" (and {len(files) - 1} more)" if len(files) > 1 else ""
            notes.append(f"{files[0]}{more}: not written by this program, left alone")
        for name, error in self._refused.items():
            notes.append(f"{self._output_dir}: its disk refuses the name {name} ({error.strerror})")
        return f"{'; '.join(notes)}; the folder of the run is {self.path}." if notes else ""

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
                self._make()
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

    def _make(self) -> None:
        """Make the folder, by another name if the disk refuses this one; raises OSError."""
        name = next(name for name in self._names if name not in self._refused)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._refused[name] = error
            if len(self._refused) == len(self._names):
                raise self._refused[self._names[0]] from None
            self._choose()
            if self.is_new:
                self._make()

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


def _is_free(path: Path) -> bool:
    """Whether the disk has nothing of this name but temporary files of a killed process.

    It is asked for the path: it may hold names to be the same that differ as texts.
    """
    if not os.path.lexists(path):
        return True
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
