"""A connection to a Ray cluster, and the workers on it."""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from nst.cluster import worker as worker_module
from nst.errors import ClusterError, UsageError
from nst.vgg.weights import Weights

# Two evaluate a picture 1.7 times as fast as one, and need half the memory of two workers.
PROCESSORS = 2  # of a worker
WAIT_SECONDS = 30  # for workers to get ready, which takes about 10
CONNECT_SECONDS = 5
ANSWER_SECONDS = 20
GONE_SECONDS = 20  # without it; Ray itself waits for 60 seconds, then ends the process
LOOK_SECONDS = 0.5  # between two looks for signals


class Cluster:
    """A connection to a Ray cluster, and the workers on it; a context that ends both."""

    def __init__(self, address: str, say: Callable[[str], None], device: str = "auto") -> None:
        """Connect; raises ClusterError. address: ``local``, or HOST:PORT of the head node.

        device: auto, cpu or gpu; auto gives a GPU to each worker if any node has one. say: gets
        lines for the user. What Ray prints on standard output and error is dropped.
        """
        try:
            import ray
        except ModuleNotFoundError:
            raise ClusterError("cluster: Ray is not installed; pip install ray") from None
        self.ray = ray
        self.say = say
        self._device = device
        local = address == "local"
        if not local:
            _check_address(address)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            ray.init(
                address=address,
                include_dashboard=False if local else None,
                logging_level=logging.ERROR,
                log_to_driver=False,
            )
            for number, handler in handlers.items():  # Ray sets its own
                signal.signal(number, handler)
        # Ray raises almost anything: wrong versions, ports of other programs, full disks.
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise ClusterError(f"{address}: {reason}; check --cluster") from None
        self._code = ray.put(worker_module.code())
        ray.cloudpickle.register_pickle_by_value(worker_module)
        self._actor: Any = ray.remote(worker_module.Worker)
        self._weights: Any = None
        self.workers: list[Any] = []
        self.starting: dict[Any, Any] = {}  # workers by the call that gets them ready
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

    def _count_places(self) -> int:
        """Decide what Ray gives a worker; return for how many there is room, busy ones included."""
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        nodes = [node for node in nodes if node.get("CPU", 0) >= 1]
        if not nodes:
            raise ClusterError("cluster: it has no processors to work with")
        graphics = [int(node["GPU"]) for node in nodes if node.get("GPU", 0) >= 1]
        if self._device == "gpu" and not graphics:
            raise UsageError("device: gpu: no node of the cluster has a GPU; use --device cpu")
        if graphics and self._device != "cpu":
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
        for _ in range(min(most, self._count_places()) - len(self.workers) - len(self.starting)):
            threads = 0 if "num_gpus" in self._shape else self._shape["num_cpus"]
            # Two calls at a time: one that works, one that tells it to stop.
            options = {"max_concurrency": 2, **self._shape}
            worker = self._actor.options(**options).remote(self._code, threads, self._device)
            self.starting[worker.learn.remote(self._weights)] = worker

    def ready(self, seconds: float) -> None:
        """Wait for workers that get ready, up to ``seconds``; raises ClusterError if one cannot."""
        if not self.starting:
            return
        done, _ = self.ray.wait(list(self.starting), num_returns=1, timeout=seconds)
        for reference in done:
            worker = self.starting.pop(reference)
            try:
                self.ray.get(reference)
            except self.ray.exceptions.RayError as error:
                failed = isinstance(error, self.ray.exceptions.RayTaskError)
                if failed or "creation task" in str(error):  # else its node died
                    reason = _last_line(error)
                    raise ClusterError(f"cluster: a node cannot work ({reason})") from None
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

    def report_waiting(self) -> None:
        """Say, once, that no worker is there after WAIT_SECONDS."""
        if self._waits_since is None or self.workers:
            return
        if time.monotonic() - self._waits_since > WAIT_SECONDS:
            self.say("Cluster   waiting for its processors, which others use")
            self._waits_since = None

    def next_worker(self) -> Any:
        """A worker, each in turn; raises ClusterError if there is none left."""
        if not self.workers:
            raise ClusterError("cluster: all of its workers are lost")
        self._turn += 1
        return self.workers[self._turn % len(self.workers)]

    def result(self, reference: Any) -> Any:
        """What a call returns; raises what Ray raises, and ClusterError if the head is gone."""
        while not self.ray.wait([reference], timeout=LOOK_SECONDS)[0]:
            self.has_head()
        return self.ray.get(reference)

    def lose(self, worker: Any) -> None:
        """Forget a worker that does not answer."""
        if worker in self.workers:
            self.workers.remove(worker)
        with contextlib.suppress(Exception):
            self.ray.kill(worker)


def _check_address(address: str) -> None:
    """Raise ClusterError unless the head of a Ray cluster answers at HOST:PORT.

    ``ray.init`` would end this process if it were another program that listens there.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal():
        raise ClusterError(
            f"{address}: is no address of a cluster; give --cluster local, or HOST:PORT of its head"
        )
    advice = "check --cluster, and that ray start --head runs there"
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ClusterError(
            f"{address}: the cluster cannot be reached ({reason}); {advice}"
        ) from None
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        subprocess.run(command, capture_output=True, timeout=ANSWER_SECONDS, check=True)
    except subprocess.SubprocessError:
        raise ClusterError(f"{address}: no Ray cluster answers there; {advice}") from None


def _last_line(error: Exception) -> str:
    """The last line of a remote traceback, which names the error."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1][:300]
