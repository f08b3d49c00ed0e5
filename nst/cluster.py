"""The same jobs on a Ray cluster: the driver plans, writes run folders and survives its workers."""

import collections
import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import tensorflow as tf

from nst import batch, messages, remote
from nst.batch import Batch, Outcome, Task
from nst.errors import ClusterError, NSTError
from nst.jobs import Job
from nst.run_folder import RunFolder
from nst.settings import Settings
from nst.step import Position, Step
from nst.studio import Studio
from nst.tile_graph import Graphs, TileGraph
from nst.vgg import VGG
from nst.weights import Weights

# Two evaluate a picture 1.7 times as fast as one, and need half the memory of two workers.
PROCESSORS = 2  # of a worker
MOST_TILE_WORKERS = 64
WAIT_SECONDS = 30  # for workers to get ready, which takes about 10
CONNECT_SECONDS = 5
ANSWER_SECONDS = 20
HEAD_SECONDS = 2  # between two looks for the head and for new nodes
GONE_SECONDS = 20  # without it; Ray itself waits for 60 seconds, then ends the process
LOOK_SECONDS = 0.5  # between two looks for signals
MOST_LOSSES = 3  # of workers with the same picture, without an iteration saved in between


class Shown(Protocol):
    """What tells a user of the progress (``nst.console.Console``)."""

    def say(self, line: str) -> None: ...
    def start(self, task: Task, folder: RunFolder) -> None: ...
    def step(self, task: Task, step: Step) -> None: ...


class Cluster:
    """A connection to a Ray cluster, and the workers on it; a context that ends both."""

    def __init__(self, address: str, say: Callable[[str], None]) -> None:
        """Connect; raises ClusterError. address: ``local``, or HOST:PORT of the head node.

        say: gets lines for the user. What Ray prints on standard output and error is dropped.
        """
        try:
            import ray
        except ModuleNotFoundError:
            raise ClusterError("cluster: Ray is not installed; pip install ray") from None
        self.ray = ray
        self._say = say
        local = address == "local"
        if not local:
            _check_address(address)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            ray.init(
                address=address,
                include_dashboard=False if local else None,
                logging_level="ERROR",
                log_to_driver=False,
            )
            for number, handler in handlers.items():  # Ray sets its own
                signal.signal(number, handler)
        # Ray raises almost anything: wrong versions, ports of other programs, full disks.
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise ClusterError(f"{address}: {reason}; check --cluster") from None
        self._code = ray.put(remote.code())
        ray.cloudpickle.register_pickle_by_value(remote)
        self._actor = ray.remote(remote.Worker)
        self._weights: Any = None
        self.workers: list[Any] = []
        self._new: dict[Any, Any] = {}
        self._turn = 0
        self._streams = contextlib.ExitStack()
        self._waits_since: float | None = time.monotonic()
        self._shape: dict[str, int] = {}
        self.share = 1.0  # of the memory of a node that a worker may use
        host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
        self._head = host, int(port)
        self._head_seen = time.monotonic()

    def __enter__(self) -> "Cluster":
        sink = self._streams.enter_context(open(os.devnull, "w"))
        self._streams.enter_context(contextlib.redirect_stdout(sink))
        self._streams.enter_context(contextlib.redirect_stderr(sink))
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(Exception):
            self.ray.shutdown()
        self._streams.close()

    def _look(self) -> int:
        """Decide what Ray gives a worker; return for how many there is room, busy ones included."""
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        nodes = [node for node in nodes if node.get("CPU", 0) >= 1]
        if not nodes:
            raise ClusterError("cluster: it has no processors to work with")
        if graphics := [int(node["GPU"]) for node in nodes if node.get("GPU", 0) >= 1]:
            self._shape, self.share = {"num_cpus": 1, "num_gpus": 1}, 1 / max(graphics)
            return sum(graphics)
        processors = min(PROCESSORS, *(int(node["CPU"]) for node in nodes))
        self._shape = {"num_cpus": processors}
        self.share = processors / max(node["CPU"] for node in nodes)
        return sum(int(node["CPU"] // processors) for node in nodes)

    def hire(self, weights: Weights, most: int) -> None:
        """Start as many workers as there is room for, up to ``most``; they get ready meanwhile."""
        if self._weights is None:
            self._weights = self.ray.put(weights)
        for _ in range(min(most, self._look()) - len(self.workers) - len(self._new)):
            threads = 0 if "num_gpus" in self._shape else self._shape["num_cpus"]
            # Two calls at a time: one that works, one that tells it to stop.
            options = {"max_concurrency": 2, **self._shape}
            worker = self._actor.options(**options).remote(self._code, threads)
            self._new[worker.learn.remote(self._weights)] = worker

    def ready(self, seconds: float) -> None:
        """Wait for workers that get ready, up to ``seconds``; raises ClusterError if one cannot."""
        if not self._new:
            return
        done, _ = self.ray.wait(list(self._new), num_returns=1, timeout=seconds)
        for reference in done:
            worker = self._new.pop(reference)
            try:
                self.ray.get(reference)
            except self.ray.exceptions.RayTaskError as error:
                raise ClusterError(f"cluster: a node cannot work ({_first(error)})") from None
            except self.ray.exceptions.ActorDiedError as error:
                if "creation task" in str(error):  # it failed, rather than its node
                    raise ClusterError(f"cluster: a node cannot work ({_first(error)})") from None
            except self.ray.exceptions.RayError:
                pass  # its node died; capacity() knows
            else:
                self.workers.append(worker)

    def has_head(self) -> bool:
        """Whether the head answers; raises ClusterError if it has not for long.

        Asked before anything that only the head knows: Ray would wait for a minute, and then end
        this process.
        """
        now = time.monotonic()
        try:
            socket.create_connection(self._head, CONNECT_SECONDS).close()
        except OSError:
            if now - self._head_seen > GONE_SECONDS:
                host, port = self._head
                raise ClusterError(
                    f"{host}:{port}: the head of the cluster is gone; start it again, and the same "
                    "command goes on"
                ) from None
            return False
        self._head_seen = now
        return True

    def tile_studio(self, studio: Studio) -> Studio:
        """Start all the workers that there is room for; return a studio that spreads tiles.

        Waits for the first one as long as it takes, and for others for WAIT_SECONDS.
        """
        began = time.monotonic()
        self.hire(studio.network, MOST_TILE_WORKERS)
        while self._new and not (self.workers and time.monotonic() - began > WAIT_SECONDS):
            self.ready(LOOK_SECONDS)
            self.has_head()
            self.tell_of_waiting()
        count = len(self.workers)
        self._say(f"Cluster   the tiles are spread over {count} worker{'s' * (count != 1)}")
        return Studio(studio.file, studio.network, partial(TileGraphs, self), max(1, count))

    def tell_of_waiting(self) -> None:
        """Say, once, that no worker is there after WAIT_SECONDS."""
        if self._waits_since is None or self.workers:
            return
        if time.monotonic() - self._waits_since > WAIT_SECONDS:
            self._say("Cluster   waiting for its processors, which others use")
            self._waits_since = None

    def next_worker(self) -> Any:
        """A worker, each in turn; raises ClusterError if there is none left."""
        if not self.workers:
            raise ClusterError("cluster: all of its workers are lost")
        self._turn += 1
        return self.workers[self._turn % len(self.workers)]

    def lose(self, worker: Any) -> None:
        """Forget a worker that does not answer."""
        if worker in self.workers:
            self.workers.remove(worker)
        with contextlib.suppress(Exception):
            self.ray.kill(worker)


@dataclass
class _Run:
    """A picture that a worker is making, or that waits for one."""

    task: Task
    job: Job
    folder: RunFolder
    position: Position | None  # that was saved last
    kept: dict[str, Any] | None
    worker: Any = None
    stream: Any = None
    losses: int = 0  # of workers since something was saved


class Driver:
    """Carries out a batch on a cluster; the run folders are written here and nowhere else."""

    def __init__(
        self,
        cluster: Cluster,
        planned: Batch,
        weights: Weights,
        shown: Shown,
        done: Callable[[Outcome], None],
    ) -> None:
        self._cluster, self._planned, self._weights = cluster, planned, weights
        self._shown, self._done = shown, done
        self._runs: list[_Run] = []
        self._orphans: list[_Run] = []  # their worker is lost
        self._later: list[Task] = []  # the same picture, of another name, is being made
        self._pending = batch.pending(planned, weights.file, done)
        self._stopping = False
        self._exhausted = False
        self._next_look = 0.0

    def carry_out(self, stop: Callable[[], bool]) -> None:
        """Make every picture that is not finished.

        Once ``stop()``, runs are saved after the iteration in hand, then KeyboardInterrupt is
        raised. Raises NSTError for what concerns all pictures.
        """
        try:
            while self._go_on(stop()):
                if self._runs:
                    self._cluster.ready(0)
                    self._listen()
                else:
                    self._cluster.ready(LOOK_SECONDS)
                    self._cluster.tell_of_waiting()
            if self._stopping:
                raise KeyboardInterrupt
        except BaseException as error:
            for run in (*self._runs, *self._orphans):
                self._end(run, error)
            raise
        finally:
            for run in (*self._runs, *self._orphans):
                run.folder.close()

    def _go_on(self, stop: bool) -> bool:
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
                self._cluster.hire(self._weights, len(self._planned.tasks))
        busy = [run.worker for run in self._runs]
        for worker in [worker for worker in self._cluster.workers if worker not in busy]:
            run = self._next()
            if run is None:
                return bool(self._runs or self._later)
            self._start(run, worker)
        return True

    def _next(self) -> _Run | None:
        """The next run that waits for a worker, None if there is none."""
        if self._orphans:
            return self._orphans.pop()
        # What was put off is looked at when nothing else is left.
        if self._later and not self._runs and self._exhausted:
            again = replace(self._planned, tasks=tuple(self._later))
            self._pending = batch.pending(again, self._weights.file, self._done)
            self._later = []
        for task, job in self._pending:
            folder = RunFolder(job, self._weights.file)
            if folder.identity in [run.folder.identity for run in self._runs]:
                self._later.append(task)
                continue
            try:
                if not folder.claim():
                    self._done(batch.made(task, folder))
                    continue
            except NSTError as error:
                folder.close()
                batch.refuse(self._planned, task, error, self._done)
                continue
            saved = folder.checkpoint
            if folder.news:
                self._shown.say(folder.news)
            return _Run(task, job, folder, saved and saved.position, saved.about if saved else None)
        self._exhausted = True
        return None

    def _start(self, run: _Run, worker: Any) -> None:
        run.worker = worker
        options = {"num_returns": "streaming", "_generator_backpressure_num_objects": 4}
        run.stream = worker.work.options(**options).remote(
            run.job, run.kept, run.position, self._cluster.share
        )
        self._runs.append(run)

    def _listen(self) -> None:
        """Take one message of each worker that has one."""
        ray = self._cluster.ray
        streams = {run.stream: run for run in self._runs}
        heard, _ = ray.wait(list(streams), num_returns=1, timeout=LOOK_SECONDS, fetch_local=False)
        for run in map(streams.get, heard):
            try:
                message = ray.get(next(run.stream))
            except StopIteration:
                self._finish(run)
            except ray.exceptions.RayTaskError as error:
                if not isinstance(error.cause, NSTError):
                    raise error.cause from None
                self._runs.remove(run)
                self._end(run, error.cause)
                batch.refuse(self._planned, run.task, error.cause, self._done)
            except ray.exceptions.RayError:
                self._lose(run)
            else:
                self._hear(run, message)

    def _hear(self, run: _Run, message: Any) -> None:
        if isinstance(message, tuple):
            facts, run.kept = message
            run.folder.begin(facts, run.kept)
            self._shown.start(run.task, run.folder)
            return
        step = messages.receive(message, run.position)
        run.folder.record(step, step.position is not None)
        if step.position:
            run.position, run.losses = step.position, 0
        self._shown.step(run.task, step)

    def _finish(self, run: _Run) -> None:
        if not run.folder.complete:  # it was stopped
            self._end(run, KeyboardInterrupt())
            self._runs.remove(run)
            return
        run.folder.finish()
        run.folder.close()
        self._runs.remove(run)
        self._done(batch.made(run.task, run.folder, run.folder.seconds))

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
            batch.refuse(self._planned, run.task, error, self._done)
            return
        after = f"iteration {run.position.iteration}" if run.position else "the beginning"
        self._shown.say(f"{run.task.name}: its worker is lost; another one goes on after {after}.")
        run.folder.rewind(run.position)
        self._orphans.append(run)

    def _end(self, run: _Run, error: BaseException) -> None:
        """Close the folder of a run that stops early."""
        if line := run.folder.stop(error):
            self._shown.say(line)
        run.folder.close()


class TileGraphs(Graphs):
    """Graphs whose tiles are evaluated on the workers of a cluster, and summed here in order."""

    def __init__(self, cluster: Cluster, vgg: VGG, settings: Settings) -> None:
        super().__init__(vgg, settings)
        self._cluster = cluster

    def run(self, graph: TileGraph, name: str, arguments: Iterable[tuple]) -> Iterator[Any]:
        """Yield what a function of a graph returns for the arguments of each tile, in order."""
        arguments = iter(arguments)
        head = list(itertools.islice(arguments, 2))
        if len(head) < 2:
            return super().run(graph, name, head)
        return self._spread(graph, name, itertools.chain(head, arguments))

    def _spread(self, graph: TileGraph, name: str, arguments: Iterable[tuple]) -> Iterator[Any]:
        """Keep every worker busy with one tile and a next one."""
        waiting: collections.deque = collections.deque()
        for of_tile in arguments:
            arrays = tf.nest.map_structure(lambda tensor: tensor.numpy(), of_tile)
            waiting.append((arrays, *self._send(graph, name, arrays)))
            if len(waiting) >= 2 * len(self._cluster.workers):
                yield self._receive(graph, name, *waiting.popleft())
        while waiting:
            yield self._receive(graph, name, *waiting.popleft())

    def _send(self, graph: TileGraph, name: str, arrays: tuple) -> tuple[Any, Any]:
        worker = self._cluster.next_worker()
        key = graph.layers, graph.weights, graph.guided
        number_type = self.vgg.dtype.name
        return worker, worker.tile.remote(self.settings, number_type, key, name, arrays)

    def _receive(
        self, graph: TileGraph, name: str, arrays: tuple, worker: Any, reference: Any
    ) -> Any:
        ray = self._cluster.ray
        while True:
            try:
                while not ray.wait([reference], timeout=LOOK_SECONDS)[0]:
                    self._cluster.has_head()
                found = ray.get(reference)
                return tf.nest.map_structure(tf.constant, found)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            except ray.exceptions.RayError:
                self._cluster.lose(worker)
                worker, reference = self._send(graph, name, arrays)


def _check_address(address: str) -> None:
    """Raise ClusterError unless the head of a Ray cluster answers at HOST:PORT.

    ``ray.init`` would end this process if it were another program that listens there.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal():
        raise ClusterError(
            f"{address}: is no address of a cluster; give --cluster local, or HOST:PORT of its head"
        )
    mend = "check --cluster, and that ray start --head runs there"
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ClusterError(f"{address}: the cluster cannot be reached ({reason}); {mend}") from None
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        subprocess.run(command, capture_output=True, timeout=ANSWER_SECONDS, check=True)
    except subprocess.SubprocessError:
        raise ClusterError(f"{address}: no Ray cluster answers there; {mend}") from None


def _first(error: Exception) -> str:
    """The last line of a remote traceback, which tells the error."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1][:300]
