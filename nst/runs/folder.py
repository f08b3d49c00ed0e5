"""The folder of one run: frames, cost log, manifest, checkpoint and the finished picture."""

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nst import layout
from nst.engine.curvature import OverwrittenError
from nst.engine.evaluation import Evaluation
from nst.engine.step import Position, Step
from nst.errors import DivergedError, MemoryLimitError, OutputError
from nst.files import output_error, write_atomically
from nst.pages import run_files
from nst.pages.finished_run import FinishedRun
from nst.pictures.metadata import Metadata
from nst.pictures.resize import resize
from nst.pictures.write import encode, on_white
from nst.runs import manifest
from nst.runs.checkpoint import Checkpoint, Checkpoints
from nst.runs.cost_log import CostLog
from nst.runs.flat_copy import FlatCopy, put, wanted_kind, wanted_name
from nst.runs.folder_claim import FolderClaim
from nst.runs.job import Job
from nst.runs.resume_point import find_resume_point
from nst.runs.save_schedule import SaveSchedule
from nst.runs.tensorboard import TensorBoardLog
from nst.runs.wanted import add_animation, add_wanted, copy_line, provenance, state_line
from nst.text import picture_title
from nst.vgg.weights import WeightsFile


class RunFolder:
    """One run's folder below ``--output_dir``; raises OutputError whenever it cannot be written."""

    def __init__(self, job: Job, weights: WeightsFile) -> None:
        """Choose the folder and find out whether it holds this very run; make nothing yet.

        checkpoint: where an unfinished run is resumed, from ``claim`` until ``begin``. news: a line
        for the user about that. saved: the iteration that was saved last, None before. log: the
        costs so far.
        """
        self.job = job
        self.identity = manifest.identity(job, weights)
        self.checkpoint: Checkpoint | None = None
        self.news = ""
        self._claim = FolderClaim(job, self.identity)
        self._last: Step | None = None
        self.saved: int | None = None
        self.log = CostLog([name for name, _ in job.settings.used_style_layers])
        self._facts: dict[str, Any] = {}
        self._evaluation: Evaluation | None = None  # known once the run has begun
        self._tensorboard: TensorBoardLog | None = None
        self._checkpoints = Checkpoints(self.path)
        self._schedule = SaveSchedule(job.settings.print_every)

    @property
    def path(self) -> Path:
        """The folder."""
        return self._claim.path

    @property
    def finished(self) -> bool:
        """Whether the folder holds this very run, finished, and it is not to be overwritten."""
        return self._claim.finished

    @property
    def picture(self) -> Path:
        """Where the finished picture is."""
        return self._claim.picture

    @property
    def outlook(self) -> str:
        """A line for the user, before ``claim``: where it will go on, or a run nearly the same."""
        origin = self._claim.origin
        if origin and not self.finished:
            return f"{origin.folder}: it will go on after iteration {origin.iteration} of this run."
        return self._claim.near

    def claim(self) -> bool:
        """Make the folder, lock it, and find where its run is resumed.

        Returns False, and does nothing, if another process has finished this very run meanwhile.
        With ``overwrite`` an earlier run's files are removed; else the frames of the same run stay
        until they are written again.
        """
        try:
            self._claim.claim()
            if self.finished:
                return False
            overwrite = self.job.settings.overwrite
            self._checkpoints = Checkpoints(self.path)
            point = find_resume_point(self._claim, self._checkpoints)
            if point.checkpoint:
                self._go_on(point.checkpoint)
            for pattern in (*layout.LEFTOVERS, *(layout.RESULTS if overwrite else ())):
                for old in self.path.glob(pattern):
                    old.unlink()
            if overwrite:
                TensorBoardLog.remove(self.path / layout.TENSORBOARD)
            every, stopped = self.job.settings.print_every, self._claim.about.get("iterations")
            for number, frame in layout.frames(self.path).items():
                if number == 0 or (number == stopped and number % every):
                    frame.unlink()  # saved when an earlier process was stopped
            if not self.checkpoint or point.frames:
                self._checkpoints.remove(point.unusable)
            for name, frame in point.frames.items():
                write_atomically(self.path / name, frame.read_bytes())
        except OSError as error:
            raise output_error(self.path, error) from None
        except MemoryError:
            raise MemoryLimitError(
                f"{self.path}: its checkpoint takes more memory than there is; free some, or start "
                "again with --overwrite"
            ) from None
        self.news = " ".join(filter(None, (self._claim.note, point.news)))
        self._facts = {"started": manifest.now()}
        if copy := FlatCopy.recorded(self._claim.about):
            self._facts["output_file"] = copy.to_json()
        self._write_manifest("running")  # whose folder this is
        return True

    def _go_on(self, checkpoint: Checkpoint) -> None:
        """Take the position and the log of a checkpoint."""
        self.checkpoint = checkpoint
        self.saved = checkpoint.position.iteration
        self.log.load(checkpoint.log)
        if self.saved == self.job.settings.epochs:  # its step comes once more
            self.log.rewind(self.saved - 1)

    def begin(self, facts: dict[str, Any], evaluation: Evaluation) -> None:
        """Write the manifest of a run that begins or is resumed.

        facts: entries for the manifest that do not follow from the job. evaluation: for manifest
        and checkpoints.
        """
        self._facts |= {**facts, "evaluation": evaluation.to_json()}
        self._evaluation = evaluation
        seconds = self.checkpoint.position.seconds if self.checkpoint else 0.0
        self.checkpoint = None  # free its memory
        self._schedule = SaveSchedule(self.job.settings.print_every, seconds)
        if self.job.settings.tensorboard:
            self._tensorboard = TensorBoardLog(self.path / layout.TENSORBOARD, self.log.layers)
        self._write_manifest("running")

    def change_evaluation(self, facts: dict[str, Any], evaluation: Evaluation) -> None:
        """Go on with another evaluation after the last step, as of ``begin``, and save that.

        So the run is resumed by the evaluation that it goes on with, from where that begins.
        """
        self._facts |= {**facts, "evaluation": evaluation.to_json()}
        self._evaluation = evaluation
        self._write_manifest("running")
        # From a worker of a cluster, a step may come without its state.
        if self._last is not None and self._last.position.state is not None:
            self._save_checkpoint(self._last)

    def record(self, step: Step, save: bool | None = None) -> None:
        """Log the costs of a step, and save what is due.

        save: whether its position is to be saved; None leaves that to the schedule. A step whose
        frame is due comes with its image.
        """
        self.log.add(step)
        self._last = step.without_state() if step.is_last else step  # the last is not resumed
        framed = self._schedule.frame(step)
        if framed:
            self._save_frame(step)
        if self._tensorboard:
            self._tensorboard.add(step, framed)
        due = self._schedule.checkpoint(step) if save is None else save and not self.complete
        if due or (step.is_last and self.job.settings.keep_state):
            self._save_checkpoint(step)

    @property
    def complete(self) -> bool:
        """Whether the last iteration was recorded."""
        return self._last is not None and self._last.is_last

    @property
    def seconds(self) -> float:
        """Seconds of work so far."""
        return self._last.seconds if self._last else 0.0

    def rewind(self, position: Position | None) -> None:
        """Go back to where the run was saved last, its worker being lost."""
        self.log.rewind(position.iteration if position else -1)
        self._last = None

    def _save_frame(self, step: Step) -> None:
        """Save the image of a step as ``frame_NNNNN.png`` and the costs so far."""
        self._write(layout.frame_name(step.iteration), self._encode(step, "png"))
        self._save_log()

    def _save_log(self) -> None:
        self._write(layout.COSTS, self.log.costs())
        if self.log.layers:
            self._write(layout.STYLE_COSTS, self.log.style_costs())

    def _save_checkpoint(self, step: Step) -> None:
        assert self._evaluation is not None  # the run has begun
        checkpoint = Checkpoint(
            step.position, self.identity, manifest.versions(), self._evaluation, self.log.dump()
        )
        try:
            self._checkpoints.save(checkpoint)
        except OSError as error:
            raise output_error(self.path / layout.CHECKPOINT, error) from None
        self.saved = step.iteration

    def finish(self) -> list[str]:
        """Save the result, the image of the last step, and what is made of a finished run.

        Returns lines for the user.
        """
        assert self._last is not None  # it was recorded
        settings, lines = self.job.settings, []
        self._end()
        picture = self._encode(self._last, settings.output_format, self.job.metadata)
        self._write(self.picture.name, picture)
        self._save_log()
        sha256 = hashlib.sha256(picture).hexdigest()
        result = {"sha256": sha256, "keep_metadata": settings.keep_metadata}
        self._facts |= {"result_sha256": sha256, "results": {settings.output_format: result}}
        if name := wanted_name(self.job):
            kind = wanted_kind(self.job) or settings.output_format
            if kind != settings.output_format:
                picture = self._encode(self._last, kind, self.job.metadata)
            before = FlatCopy.recorded(self._facts)
            copy = put(Path(settings.output_dir), name, picture, before)
            self._facts["output_file"] = copy.to_json()
            lines.append(copy_line(self.job, copy))
        add_animation(self.path, self.picture, settings.animation, settings.epochs, None)
        run = FinishedRun(
            folder=self.path,
            settings=settings,
            title=picture_title(*self.job.names),
            pictures=self.job.pictures,
            result=on_white(self._full_size(self._last), self.job.transparency),
            manifest=manifest.describe(self.job, self.identity, layout.FINISHED, self._facts),
            curves=self.log.curves(),
            cost_at=self.log.total,
        )
        for name, data in run_files.make_files(run):
            self._write(name, data)
        if self._tensorboard:
            self._tensorboard.close()
        if settings.keep_state:
            self._facts["state_bytes"] = self._checkpoints.size()
            lines.append(state_line(self.path, self._facts["state_bytes"]))
        self._write_manifest(layout.FINISHED)
        if not settings.keep_state:
            self.tidy()
        return lines

    def add_wanted(self) -> list[str]:
        """Make what is asked for of a finished run, without painting; return lines for the user."""
        found = self._claim.about
        if not found.get("state_bytes"):
            self.tidy()
        return add_wanted(self.path, self.job, found, self._write)

    def tidy(self) -> None:
        """Remove the checkpoint of a finished run, as far as that is possible."""
        with contextlib.suppress(OSError):
            Checkpoints(self.path).remove()

    def stop(self, error: BaseException) -> str:
        """Save the last step when ``error`` ends the run early; return how it can be resumed."""
        if self._evaluation is None:
            if self._claim.is_new and self._claim.claimed:  # nothing was begun: leave nothing
                with contextlib.suppress(OSError):
                    (self.path / layout.MANIFEST).unlink(missing_ok=True)
                    self.path.rmdir()
            return ""
        status = "failed"
        if isinstance(error, KeyboardInterrupt):
            status = "interrupted"
        elif isinstance(error, DivergedError):
            status = "diverged"
        with contextlib.suppress(OutputError):
            last = self._last
            # From a worker of a cluster, a step may come without its state and image.
            if (
                last is not None
                and last.position.state is not None
                and last.source is not None
                and not last.is_last
                and not isinstance(error, OutputError)
            ):
                # Too late if it was stopped while the step after the next was made.
                with contextlib.suppress(MemoryError, OverwrittenError):
                    self._save_checkpoint(last)
                    self._save_frame(last)
            self._end()
            self._write_manifest(status)
        if status == "diverged":
            return ""  # it would again
        settings = self.job.settings
        if self.saved is None:
            return f"{self.path}: stopped before anything was saved."
        command = "the same command"
        if settings.overwrite:
            command += " without --overwrite"
        return (
            f"{self.path}: saved after iteration {self.saved} of {settings.epochs}; "
            f"{command} goes on from there."
        )

    def _end(self) -> None:
        """Add the end of the run to the facts of the manifest."""
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

    def _encode(self, step: Step, kind: str, metadata: Metadata | None = None) -> bytes:
        """The file of the image of a step, with its provenance. metadata: of the photo."""
        about = {**self._facts, "identity": self.identity, "iterations": step.iteration}
        texts = provenance(self.job, about)
        return encode(self._full_size(step), kind, self.job.transparency, texts, metadata)

    def _full_size(self, step: Step) -> np.ndarray:
        """The image of a step; frames of coarse scales, too, have the size of the result.

        What is transparent is white, as the optimizer leaves noise there.
        """
        picture, transparency = resize(step.picture, self.job.size), self.job.transparency
        if transparency is None:
            return picture
        return np.where(transparency[:, :, np.newaxis] == 0, np.float32(255), picture)

    def _write_manifest(self, status: str) -> None:
        about = manifest.describe(self.job, self.identity, status, self._facts)
        self._write(layout.MANIFEST, json.dumps(about, indent=2).encode())

    def _write(self, name: str, data: bytes) -> None:
        try:
            write_atomically(self.path / name, data)
        except OSError as error:
            raise output_error(self.path / name, error) from None

    def close(self) -> None:
        """Let other processes use the folder."""
        self._claim.close()
