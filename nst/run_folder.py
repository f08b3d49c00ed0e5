"""The folder of one run: frames, cost log, manifest, checkpoint and the finished picture."""

import contextlib
import csv
import errno
import fnmatch
import hashlib
import io
import itertools
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nst import __version__, checkpoint, images, manifest
from nst.checkpoint import Checkpoint, Checkpoints, DamagedError
from nst.errors import DivergedError, FullError, MemoryLimitError, OutputError
from nst.files import file_hash, write_atomically
from nst.jobs import Job
from nst.pictures import resize
from nst.schedule import Schedule
from nst.step import COSTS as COST_NAMES
from nst.step import Position, Step
from nst.weights import WeightsFile

try:  # not on Windows, where two runs in one folder are not kept apart
    import fcntl
except ImportError:
    fcntl = None

RESULT = "generated_image.png"
COSTS = "costs.csv"
RESULTS = ("frame_[0-9]*.png", RESULT, COSTS, manifest.NAME)
# Of a killed process:
LEFTOVERS = tuple(f".{name}.*.part" for name in (*RESULTS, *checkpoint.FILES))
LONGEST_STEM = 100  # bytes; file systems allow 255 for the whole name
FINISHED = "finished"
CLAIM_SECONDS = 10  # that processes starting together may need to sort out their folders


class RunFolder:
    """One run's folder below ``--output_dir``; raises OutputError whenever it cannot be written."""

    def __init__(self, job: Job, weights: WeightsFile) -> None:
        """Choose the folder and find out whether it holds this very run; make nothing yet.

        checkpoint: where an unfinished run is to go on, known once the folder is claimed. news:
        what a user should know of that. saved: the iteration that was saved last, None before.
        """
        self.job = job
        self.identity = manifest.identity(job, weights)
        self.checkpoint: Checkpoint | None = None
        self.news = ""
        self._last: Step | None = None
        self.saved: int | None = None
        self._rows: list[list[Any]] = []
        self._facts: dict[str, Any] = {}
        self._kept: dict[str, Any] = {}
        self._lock: int | None = None
        self._choose()

    def _choose(self) -> None:
        """Set ``path`` and ``finished``.

        The folder is the one of the same pictures, settings and weights if there is one; with
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
        finished = found.get("status") == FINISHED and _whole(path / RESULT, found)
        self.path = path
        self._is_new = not found
        self._unfinished = bool(found) and not finished
        self.finished = finished and not self.job.settings.overwrite

    def _claim(self) -> None:
        """Make the folder if it is new, and lock it for as long as this process lives."""
        deadline = time.monotonic() + CLAIM_SECONDS
        while time.monotonic() < deadline:
            if self._is_new:
                self.path.mkdir(parents=True, exist_ok=True)
            if self._try_lock():
                found = manifest.read(self.path)
                if bool(found) != self._is_new:
                    self._take(self.path, found)
                    return
                self.close()  # another process took the name, or somebody cleared it
            elif self._is_new:
                time.sleep(0.1)  # a manifest is about to tell whose folder this is
            else:
                break
            self._choose()
        raise OutputError(
            f"{self.path}: another run is writing this folder; wait for it or change --output_dir"
        )

    def _try_lock(self) -> bool:
        if fcntl is None:
            return True
        self._lock = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            return False
        except OSError:
            pass  # a file system without locks
        return True

    def claim(self) -> bool:
        """Make the folder, keep other processes out of it, and find where its run goes on.

        Returns False, and does nothing, if another process has finished this very run meanwhile.
        With ``overwrite`` an earlier run's files are removed; else the frames of the same run stay
        until they are written again.
        """
        try:
            self._claim()
            if self.finished:
                return False
            overwrite = self.job.settings.overwrite
            self._checkpoints = Checkpoints(self.path)
            damaged = self._unfinished and not overwrite and not self._load_checkpoint()
            for pattern in (*LEFTOVERS, *(RESULTS if overwrite else ())):
                for old in self.path.glob(pattern):
                    old.unlink()
            for frame in self.path.glob("frame_[0-9]*.png"):  # of the moment when it was stopped
                number = frame.stem.removeprefix("frame_")
                every = self.job.settings.print_every
                if number.isdecimal() and (int(number) == 0 or int(number) % every):
                    frame.unlink()
            if not self.checkpoint:
                self._checkpoints.remove(damaged)
        except OSError as error:
            raise cannot_write(self.path, error) from None
        except MemoryError:
            raise MemoryLimitError(
                f"{self.path}: its checkpoint takes more memory than there is; free some, or start "
                "again with --overwrite"
            ) from None
        self._facts = {"started": manifest.now()}
        self._write_manifest("running")  # whose folder this is
        return True

    def _load_checkpoint(self) -> bool:
        """Find where the run goes on; return False if there is a checkpoint of no use."""
        found, reason = None, ""
        try:
            found = self._checkpoints.load()
            if found is None:
                reason = "nothing of it was saved"
            elif found.about.get("identity") != self.identity:
                reason = "its checkpoint is of another run"
        except DamagedError as error:
            reason = f"its checkpoint is damaged ({error})"
        if reason:
            self.news = f"{self.path}: an unfinished run is started again: {reason}."
            return not (self.path / checkpoint.NAME).exists()
        self.checkpoint = found
        self.saved = found.position.iteration
        self._rows = list(csv.reader(found.log.decode().splitlines()))[1:]
        self.news = f"{self.path}: going on after iteration {self.saved} of an unfinished run."
        if found.about.get("versions") != manifest.versions():
            self.news += " It was begun with other versions: the picture may differ a little."
        return True

    def begin(self, facts: dict[str, Any], kept: dict[str, Any]) -> None:
        """Write the manifest of a run that begins or goes on.

        facts: what is known of the run beyond its settings, for the manifest. kept: what a
        checkpoint is to keep beside the position.
        """
        self._facts |= facts
        self._kept = {"identity": self.identity, "versions": manifest.versions(), **kept}
        seconds = self.checkpoint.position.seconds if self.checkpoint else 0.0
        self._schedule = Schedule(self.job.settings.print_every, seconds)
        self._write_manifest("running")

    def record(self, step: Step, save: bool | None = None) -> None:
        """Log the costs of a step, and save what is due.

        save: whether its position is to be saved; None leaves that to the schedule. A step without
        image has no frame.
        """
        row = [step.iteration, step.scale, f"{step.seconds:.3f}"]
        self._rows.append(row + [f"{value:.8g}" for value in step.costs])
        self._last = step
        if self._schedule.frame(step):
            self._save_frame(step)
        due = self._schedule.checkpoint(step) if save is None else save and not self.complete
        if due:
            self._save_checkpoint(step)

    @property
    def complete(self) -> bool:
        """Whether the last iteration was recorded."""
        return self._last is not None and self._last.iteration == self._last.epochs

    @property
    def seconds(self) -> float:
        """Seconds of work so far."""
        return self._last.seconds if self._last else 0.0

    def rewind(self, position: Position | None) -> None:
        """Go back to where the run was saved last, its worker being lost."""
        done = position.iteration if position else -1
        self._rows = [row for row in self._rows if int(row[0]) <= done]
        self._last = None

    def _save_frame(self, step: Step) -> None:
        """Save the image of a step as ``frame_NNNNN.png`` and the costs so far."""
        self._write(f"frame_{step.iteration:05}.png", self._png(step))
        self._write(COSTS, self._log())

    def _save_checkpoint(self, step: Step) -> None:
        try:
            self._checkpoints.save(Checkpoint(step.position, self._kept, self._log()))
        except OSError as error:
            raise cannot_write(self.path / checkpoint.NAME, error) from None
        self.saved = step.iteration

    def finish(self) -> None:
        """Save the result: the image of the last step."""
        picture = self._png(self._last)
        self._write(RESULT, picture)
        self._write(COSTS, self._log())
        self._facts["result_sha256"] = hashlib.sha256(picture).hexdigest()
        self._close(FINISHED)
        self.tidy()

    def tidy(self) -> None:
        """Remove the checkpoint of a finished run, as far as that is possible."""
        with contextlib.suppress(OSError):
            Checkpoints(self.path).remove()

    def stop(self, error: BaseException) -> str:
        """Save what there is when ``error`` ends the run early; return how it can go on."""
        if not self._kept:
            if self._is_new and self._lock is not None:  # nothing was begun: leave nothing
                with contextlib.suppress(OSError):
                    (self.path / manifest.NAME).unlink(missing_ok=True)
                    self.path.rmdir()
            return ""
        status = "failed"
        if isinstance(error, KeyboardInterrupt):
            status = "interrupted"
        elif isinstance(error, DivergedError):
            status = "diverged"
        with contextlib.suppress(OutputError):
            last = self._last
            whole = last and last.position and last.image is not None and not self.complete
            if whole and not isinstance(error, OutputError):
                self._save_checkpoint(last)
                self._save_frame(last)
            self._close(status)
        if status == "diverged":
            return ""  # it would again
        settings = self.job.settings
        if self.saved is None:
            return f"{self.path}: stopped before anything was saved."
        how = "without --overwrite " * settings.overwrite + "goes on from there"
        return (
            f"{self.path}: saved after iteration {self.saved} of {settings.epochs}; "
            f"the same command {how}."
        )

    def _close(self, status: str) -> None:
        """Write the last manifest of this process."""
        step = self._last
        self._facts |= {"ended": manifest.now(), "peak_memory_bytes": manifest.peak_memory()}
        if step:
            self._facts |= {
                "iterations": step.iteration,
                "seconds": round(step.seconds, 3),
                "final_costs": step.costs.named(),
            }
        self._write_manifest(status)

    @property
    def picture(self) -> Path:
        """Where the finished picture is."""
        return self.path / RESULT

    def result(self) -> np.ndarray:
        """Return the finished picture, (H, W, 3) uint8 sRGB."""
        with Image.open(self.picture) as image:
            return np.array(image)[:, :, :3]  # without the transparency of the content

    def _png(self, step: Step) -> bytes:
        provenance = {
            "Software": f"Neural Style Transfer {__version__}",
            "nst:iteration": str(step.iteration),
            "nst:identity": json.dumps(self.identity),
        }
        alpha = self.job.content.alpha if self.job.content else None
        # Frames of coarse scales have the size of the result, to be looked at in one row.
        return images.png_bytes(resize(step.image, self.job.size), alpha, provenance)

    def _log(self) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([["iteration", "scale", "seconds", *COST_NAMES], *self._rows])
        return text.getvalue().encode()

    def _write_manifest(self, status: str) -> None:
        found = manifest.describe(self.job, self.identity, status, self._facts)
        self._write(manifest.NAME, json.dumps(found, indent=2).encode())

    def _write(self, name: str, data: bytes) -> None:
        try:
            write_atomically(self.path / name, data)
        except OSError as error:
            raise cannot_write(self.path / name, error) from None

    def close(self) -> None:
        """Let other processes use the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


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
