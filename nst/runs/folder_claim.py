"""Choose the folder of a run - its own from an earlier run, or a free name - and lock it."""

import fnmatch
import os
import time
from pathlib import Path
from typing import Any

from nst import layout
from nst.errors import OutputError
from nst.files import lock_folder, unlock_folder
from nst.layout import read_manifest
from nst.pages.ownership import foreign_files
from nst.runs import manifest
from nst.runs.folder_names import existing_folders, numbered, spellings
from nst.runs.going_on import Origin, differences, find_origin, near_miss
from nst.runs.job import Job
from nst.runs.results import find_source, whole_results

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
    from. near: a line for the user about another run that is nearly the same. note: likewise about
    a folder that could not be taken, or a name; else empty.
    """

    def __init__(self, job: Job, identity: dict[str, Any]) -> None:
        """Choose the folder; make nothing yet."""
        self.job, self.identity = job, identity
        self.near = ""
        self._lock: int | None = None
        self._output_dir = Path(job.settings.output_dir)
        self._names = spellings(job.stems, self._output_dir)
        self._refused: dict[str, OSError] = {}  # names that the disk did not take
        self._busy: set[Path] = set()  # other processes go on with these runs
        self.note = ""
        self._choose()

    def _choose(self) -> None:
        """Choose the folder.

        The one of the same pictures, settings and weights if there is one; with ``overwrite`` else
        one of the same pictures; else that of an unfinished run whose position serves; else the
        first free name. One that holds a file of somebody else under the name of a result is left
        alone, unless the run in it is finished.
        """
        settings = self.job.settings
        folders = existing_folders(self._output_dir, *self._names)
        manifests = {path: read_manifest(path) for path in folders}
        self.origin: Origin | None = None
        if not settings.overwrite:
            others = {path: about for path, about in manifests.items() if path not in self._busy}
            self.origin = find_origin(settings, self.identity, others)
        candidates = self._candidates(manifests)
        foreign = {}
        for path, state in candidates:
            if state not in (SERVES, DONE) or settings.overwrite:
                foreign[path] = foreign_files(path, manifests[path])
            if not foreign.get(path):
                self._take(path, manifests[path], state)
                break
        else:
            name = next(name for name in self._names if name not in self._refused)
            paths = numbered(self._output_dir / name)
            self._take(next(path for path in paths if _is_free(path)), {}, UNFINISHED)
        self.near = "" if candidates or settings.overwrite else self._describe_near(manifests)
        self.note = self._describe_choice({path: files for path, files in foreign.items() if files})

    def _candidates(self, manifests: dict[Path, dict[str, Any]]) -> list[tuple[Path, int]]:
        """Folders that may be taken, and their states, the best first.

        Several differ in what changes no picture, as runs of earlier versions did.
        """
        states = {path: self._state(path, manifests[path]) for path in self._same(manifests)}
        others = []
        if self.job.settings.overwrite:
            inputs = manifest.inputs(self.job)
            others = [path for path, about in manifests.items() if about.get("inputs") == inputs]
        else:
            states = {path: state for path, state in states.items() if state != LOSSY}
            if self.origin and self.origin.in_place:
                others = [self.origin.folder]
        best_first = sorted(states, key=lambda path: -states[path])  # stable
        return [(path, states.get(path, UNFINISHED)) for path in dict.fromkeys(best_first + others)]

    def _same(self, manifests: dict[Path, dict[str, Any]]) -> list[Path]:
        """The folders of this very run."""
        return [
            path
            for path, about in manifests.items()
            if differences(self.identity, about.get("identity")) == set()
        ]

    def _describe_near(self, manifests: dict[Path, dict[str, Any]]) -> str:
        """A line for the user about another run that is nearly the same; empty without one."""
        for path in self._same(manifests):  # of which no other kind can be made
            return (
                f"{path}: is finished as a JPEG alone, too poor to make a "
                f"{self.job.settings.output_format} of; it is painted again."
            )
        return "" if self.origin else near_miss(self.job.settings, self.identity, manifests)

    def _describe_choice(self, foreign: dict[Path, list[Path]]) -> str:
        """A line for the user. foreign: files of somebody else, by the folder that has them."""
        notes = []
        for files in foreign.values():
            more = f" (and {len(files) - 1} more)" if len(files) > 1 else ""
            notes.append(f"{files[0]}{more}: not written by this program, left alone")
        for name, error in self._refused.items():
            notes.append(f"{self._output_dir}: its disk refuses the name {name} ({error.strerror})")
        return f"{'; '.join(notes)}; the folder of the run is {self.path}." if notes else ""

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
            elif self.origin and self.path == self.origin.folder:
                self._busy.add(self.path)  # it goes on with its own epochs
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
