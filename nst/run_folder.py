"""The folder of one run: frames, cost log, manifest, checkpoint and the finished picture."""

import contextlib
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nst import __version__, checkpoint, jobs, manifest, place, products
from nst.checkpoint import Checkpoint, Checkpoints, DamagedError
from nst.cost_log import CostLog
from nst.encode import encode
from nst.errors import DivergedError, MemoryLimitError, OutputError
from nst.files import write_atomically
from nst.jobs import Job
from nst.pictures import resize
from nst.place import Place, cannot_write
from nst.schedule import Schedule
from nst.step import Position, Step
from nst.summaries import Summaries
from nst.weights import WeightsFile


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
        self._place = Place(job, self.identity)
        self._last: Step | None = None
        self.saved: int | None = None
        self._log = CostLog([name for name, _ in job.settings.used_style_layers])
        self._facts: dict[str, Any] = {}
        self._kept: dict[str, Any] = {}
        self._summaries: Summaries | None = None

    @property
    def path(self) -> Path:
        """Of the folder."""
        return self._place.path

    @property
    def finished(self) -> bool:
        """Whether the folder holds this very run, finished, and it is not to be overwritten."""
        return self._place.finished

    @property
    def picture(self) -> Path:
        """Where the finished picture is."""
        return self._place.picture

    def claim(self) -> bool:
        """Make the folder, keep other processes out of it, and find where its run goes on.

        Returns False, and does nothing, if another process has finished this very run meanwhile.
        With ``overwrite`` an earlier run's files are removed; else the frames of the same run stay
        until they are written again.
        """
        try:
            self._place.claim()
            if self.finished:
                return False
            overwrite = self.job.settings.overwrite
            self._checkpoints = Checkpoints(self.path)
            unfinished = self._place.unfinished and not overwrite
            damaged = unfinished and not self._load_checkpoint()
            for pattern in (*place.LEFTOVERS, *(place.RESULTS if overwrite else ())):
                for old in self.path.glob(pattern):
                    old.unlink()
            if overwrite:
                shutil.rmtree(self.path / place.SUMMARIES, ignore_errors=True)
            for number, frame in products.frames(self.path).items():
                if number == 0 or number % self.job.settings.print_every:
                    frame.unlink()  # of the moment when it was stopped
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
        self._log.load(found.log)
        self.news = f"{self.path}: going on after iteration {self.saved} of an unfinished run."
        if found.about.get("versions") != manifest.versions():
            self.news += " It was begun with other versions: the picture may differ a little."
        return True

    def begin(self, facts: dict[str, Any], kept: dict[str, Any]) -> None:
        """Write the manifest of a run that begins or goes on.

        facts: what is known of the run beyond its settings, for the manifest. kept: what a
        checkpoint is to keep beside the position.
        """
        self._facts |= {**facts, "evaluation": kept}
        self._kept = {"identity": self.identity, "versions": manifest.versions(), **kept}
        seconds = self.checkpoint.position.seconds if self.checkpoint else 0.0
        self._schedule = Schedule(self.job.settings.print_every, seconds)
        if self.job.settings.tensorboard:
            self._summaries = Summaries(self.path / place.SUMMARIES, self._log.layers)
        self._write_manifest("running")

    def record(self, step: Step, save: bool | None = None) -> None:
        """Log the costs of a step, and save what is due.

        save: whether its position is to be saved; None leaves that to the schedule. A step without
        image has no frame.
        """
        self._log.add(step)
        self._last = step
        framed = self._schedule.frame(step)
        if framed:
            self._save_frame(step)
        if self._summaries:
            self._summaries.add(step, framed)
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
        self._log.rewind(position.iteration if position else -1)
        self._last = None

    def _save_frame(self, step: Step) -> None:
        """Save the image of a step as ``frame_NNNNN.png`` and the costs so far."""
        self._write(f"frame_{step.iteration:05}.png", self._encode(step, "png"))
        self._save_log()

    def _save_log(self) -> None:
        self._write(place.COSTS, self._log.costs())
        if self._log.layers:
            self._write(place.STYLE_COSTS, self._log.style_costs())

    def _save_checkpoint(self, step: Step) -> None:
        try:
            self._checkpoints.save(Checkpoint(step.position, self._kept, self._log.dump()))
        except OSError as error:
            raise cannot_write(self.path / checkpoint.NAME, error) from None
        self.saved = step.iteration

    def finish(self) -> None:
        """Save the result, the image of the last step, and what is made of a finished run."""
        picture = self._encode(self._last, self.job.settings.output_format)
        self._write(self.picture.name, picture)
        self._save_log()
        self._facts["result_sha256"] = hashlib.sha256(picture).hexdigest()
        self._end()
        found = manifest.describe(self.job, self.identity, place.FINISHED, self._facts)
        self.add_animation()
        made = products.make(self.path, self.job, found, self._log, self._last)
        for name, data in made:
            self._write(name, data)
        if self._summaries:
            self._summaries.close()
        self._write_manifest(place.FINISHED)
        self.tidy()

    def add_animation(self) -> bool:
        """Make the animation of a finished run, if one is wanted that is not there; whether it
        was."""
        kind = self.job.settings.animation
        target = self.path / f"{place.ANIMATION}.{kind}"
        if kind == "none" or target.exists():
            return False
        try:
            products.animate(self.path, self.picture, self.job.settings.epochs, target)
        except OSError as error:
            raise cannot_write(target, error) from None
        if self.finished:
            with contextlib.suppress(FileNotFoundError):  # a report that is gone is not missed
                page = (self.path / place.REPORT).read_bytes()
                self._write(place.REPORT, products.with_link(page, target.name))
        return True

    def tidy(self) -> None:
        """Remove the checkpoint of a finished run, as far as that is possible."""
        with contextlib.suppress(OSError):
            Checkpoints(self.path).remove()

    def stop(self, error: BaseException) -> str:
        """Save what there is when ``error`` ends the run early; return how it can go on."""
        if not self._kept:
            if self._place.is_new and self._place.claimed:  # nothing was begun: leave nothing
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
            self._end()
            self._write_manifest(status)
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

    def _end(self) -> None:
        """Note what the last manifest of this process tells."""
        step = self._last
        self._facts |= {"ended": manifest.now(), "peak_memory_bytes": manifest.peak_memory()}
        if step:
            self._facts |= {
                "iterations": step.iteration,
                "seconds": round(step.seconds, 3),
                "final_costs": step.costs.named(),
            }

    def result(self) -> np.ndarray:
        """Return the finished picture, (H, W, 3) uint8 sRGB."""
        with Image.open(self.picture) as image:
            return np.array(image)[:, :, :3]  # without the transparency of the content

    def _encode(self, step: Step, kind: str) -> bytes:
        """The file of the image of a step, with its provenance and nothing of this machine."""
        network = self._facts["network"]
        provenance = {
            "Software": f"Neural Style Transfer {__version__}",
            "Description": jobs.title(*self.job.names),
            "nst:iteration": str(step.iteration),
            "nst:identity": json.dumps(self.identity),
            "nst:network": f"{network['name']}, SHA-256 {network['sha256']}",
            "nst:precision": self._facts["precision"],
        }
        # Frames of coarse scales have the size of the result, to be looked at in one row.
        return encode(resize(step.image, self.job.size), kind, self.job.alpha, provenance)

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
        self._place.close()
