"""A batch on a cluster: run folders are written here and nowhere else, and outlive the workers."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from nst.cluster import messages
from nst.cluster.connection import LOOK_SECONDS, Cluster
from nst.engine.evaluation import Evaluation
from nst.engine.step import Position
from nst.errors import ClusterError, NSTError
from nst.runs import batch
from nst.runs.batch import Batch, Task
from nst.runs.folder import RunFolder
from nst.runs.job import Job
from nst.runs.progress import Progress
from nst.vgg.weights import Weights

HEAD_SECONDS = 2  # between two looks for the head and for new nodes
MOST_LOSSES = 3  # of workers with the same picture, without an iteration saved in between


@dataclass
class _Run:
    """A picture that a worker is making, or that waits for one."""

    task: Task
    job: Job
    folder: RunFolder
    position: Position | None  # that was saved last
    evaluation: Evaluation | None  # that it was begun with
    worker: Any = None
    stream: Any = None
    losses: int = 0  # of workers since something was saved


class Driver:
    """Carries out a batch on a cluster; the run folders are written here and nowhere else."""

    def __init__(
        self,
        cluster: Cluster,
        tasks: Batch,
        weights: Weights,
        progress: Progress,
        earlier: Evaluation | None = None,
    ) -> None:
        """Take the tasks. earlier: evaluation of a run that is made again."""
        self._earlier = earlier
        self._cluster, self._batch, self._weights = cluster, tasks, weights
        self._progress = progress
        self._runs: list[_Run] = []
        self._orphans: list[_Run] = []  # their worker is lost
        self._later: list[Task] = []  # the same picture, of another name, is being made
        self._pending = batch.pending(tasks, weights.file, progress.end, progress.say)
        self._stopping = False
        self._exhausted = False
        self._next_look = 0.0

    def carry_out(self, stop: Callable[[], bool]) -> None:
        """Make every picture that is not finished.

        Once ``stop()``, runs are saved after the iteration in hand, then KeyboardInterrupt is
        raised. Raises NSTError for what concerns all pictures.
        """
        try:
            while self._assign(stop()):
                if self._runs:
                    self._cluster.ready(0)
                    self._receive_messages()
                else:
                    self._cluster.ready(LOOK_SECONDS)
                    self._cluster.report_waiting()
            if self._stopping:
                raise KeyboardInterrupt
        except BaseException as error:
            for run in (*self._runs, *self._orphans):
                self._end(run, error)
            raise
        finally:
            for run in (*self._runs, *self._orphans):
                run.folder.close()

    def _assign(self, stop: bool) -> bool:
        """Give work to idle workers, or tell all of them to stop; return whether any is left."""
        if stop:
            if not self._stopping:
                self._stopping = True
                for run in self._runs:
                    run.worker.stop.remote()
            return bool(self._runs)
        if time.monotonic() > self._next_look:
            self._next_look = time.monotonic() + HEAD_SECONDS
            if self._cluster.has_head():
                self._cluster.hire(self._weights, len(self._batch.tasks))
        busy = [run.worker for run in self._runs]
        for worker in [worker for worker in self._cluster.workers if worker not in busy]:
            waiting = self._next()
            if waiting is None:
                return bool(self._runs or self._later)
            self._start(waiting, worker)
        return True

    def _next(self) -> _Run | None:
        """The next run that waits for a worker, None if there is none."""
        if self._orphans:
            return self._orphans.pop()
        # What was put off is looked at when nothing else is left.
        if self._later and not self._runs and self._exhausted:
            again = replace(self._batch, tasks=tuple(self._later))
            self._pending = batch.pending(
                again, self._weights.file, self._progress.end, self._progress.say
            )
            self._later = []
        for task, job in self._pending:
            folder = RunFolder(job, self._weights.file)
            if folder.identity in [run.folder.identity for run in self._runs]:
                self._later.append(task)
                continue
            try:
                if not folder.claim():
                    self._progress.end(batch.outcome_of(task, folder))
                    continue
            except NSTError as error:
                folder.stop(error)
                folder.close()
                batch.refuse(self._batch, task, error, self._progress.end)
                continue
            saved = folder.checkpoint
            if folder.news:
                self._progress.say(folder.news)
            return _Run(
                task,
                job,
                folder,
                saved.position if saved else None,
                saved.evaluation if saved else self._earlier,
            )
        self._exhausted = True
        return None

    def _start(self, run: _Run, worker: Any) -> None:
        run.worker = worker
        options = {"num_returns": "streaming", "_generator_backpressure_num_objects": 4}
        run.stream = worker.work.options(**options).remote(
            run.job, run.evaluation, run.position, self._cluster.share
        )
        self._runs.append(run)

    def _receive_messages(self) -> None:
        """Take one message of each worker that has one."""
        ray = self._cluster.ray
        streams = {run.stream: run for run in self._runs}
        ready, _ = ray.wait(list(streams), num_returns=1, timeout=LOOK_SECONDS, fetch_local=False)
        for run in [streams[stream] for stream in ready]:
            try:
                message = ray.get(next(run.stream))
            except StopIteration:
                self._finish(run)
            except ray.exceptions.RayTaskError as error:
                if not isinstance(error.cause, NSTError):
                    raise error.cause from None
                self._runs.remove(run)
                self._end(run, error.cause)
                batch.refuse(self._batch, run.task, error.cause, self._progress.end)
            except ray.exceptions.RayError:
                self._lose(run)
            else:
                self._take_message(run, message)

    def _take_message(self, run: _Run, message: Any) -> None:
        if isinstance(message, messages.Plan):
            run.evaluation = message.evaluation
            if message.news:  # memory ran out
                run.folder.change_evaluation(message.facts, message.evaluation)
                self._progress.say(f"{run.task.name}: {message.news}")
                return
            run.folder.begin(message.facts, message.evaluation)
            self._progress.start(run.task, run.folder)
            return
        step = messages.receive(message, run.position)
        run.folder.record(step, step.position.state is not None)
        if step.position.state is not None:
            run.position, run.losses = step.position, 0
        self._progress.step(run.task, step)

    def _finish(self, run: _Run) -> None:
        if not run.folder.complete:  # it was stopped
            self._end(run, KeyboardInterrupt())
            self._runs.remove(run)
            return
        for line in run.folder.finish():
            self._progress.say(line)
        run.folder.close()
        self._runs.remove(run)
        self._progress.end(batch.outcome_of(run.task, run.folder, run.folder.seconds))

    def _lose(self, run: _Run) -> None:
        """Let another worker go on with a run from where it was saved."""
        self._cluster.lose(run.worker)
        self._runs.remove(run)
        run.losses += 1
        if run.losses > MOST_LOSSES:
            error = ClusterError(
                f"{run.task.name}: {run.losses} workers died with it; is their memory too small? "
                "Use --max_memory or a smaller --image_size"
            )
            self._end(run, error)
            batch.refuse(self._batch, run.task, error, self._progress.end)
            return
        after = f"iteration {run.position.iteration}" if run.position else "the beginning"
        self._progress.say(
            f"{run.task.name}: its worker is lost; another one goes on after {after}."
        )
        run.folder.rewind(run.position)
        self._orphans.append(run)

    def _end(self, run: _Run, error: BaseException) -> None:
        """Close the folder of a run that stops early."""
        if line := run.folder.stop(error):
            self._progress.say(line)
        run.folder.close()
