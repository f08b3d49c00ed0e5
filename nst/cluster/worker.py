"""What runs on the nodes of a cluster: one process for each worker, with weights and graphs.

The class is sent to the nodes as it is here, and brings the rest of the code with it: a node needs
the packages of ``requirements.txt`` and Ray, but neither this folder nor a shared disk.
"""

import importlib.abc
import importlib.util
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

from nst import ROOT


def code() -> dict[str, str]:
    """This program: {name of a module: its source}."""
    program = {"nst_utils": (ROOT / "nst_utils.py").read_text()}
    for path in (ROOT / "nst").rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        program[name] = path.read_text()
    return program


class Sources(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Imports modules from memory."""

    def __init__(self, program: dict[str, str]) -> None:
        self._program = program

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """The spec of a module of the program, None for any other."""
        if name not in self._program:
            return None
        path = name.replace(".", "/")
        origin = f"{path}/__init__.py" if self.is_package(name) else f"{path}.py"
        spec = importlib.util.spec_from_loader(name, self, origin=origin)
        assert spec is not None
        spec.has_location = True  # gives it a __file__
        return spec

    def is_package(self, name: str) -> bool:
        """Whether a module has modules in it."""
        return any(other.startswith(f"{name}.") for other in self._program)

    def get_source(self, name: str) -> str:
        """The source of a module."""
        return self._program[name]


class Worker:
    """Makes pictures, or evaluates tiles, one after the other."""

    def __init__(self, program: dict[str, str], threads: int, device: str) -> None:
        """Get ready to import the program.

        threads: that it may use, 0 for all. device: word of ``--device``; of the GPUs, a worker
        sees the one that Ray gave it.
        """
        sys.meta_path.insert(0, Sources(program))
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        from nst.engine.tensorflow_alone import tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        from nst.engine.determinism import make_deterministic

        make_deterministic()
        self._stopped = False
        self._device = device
        self._turn = threading.Lock()  # two calls are here at a time, the next one to be ready

    def learn(self, weights: Any) -> None:
        """Take the weights, an ``nst.vgg.weights.Weights``."""
        from nst.engine.devices import find_device
        from nst.runs.session import Session

        device = find_device(self._device, alone=True)
        self.session = Session(weights.file, weights, device=device)

    def work(self, job: Any, earlier: Any, position: Any, share: float) -> Iterator[Any]:
        """Make the picture of a Job, from a Position or, with None, from the beginning.

        earlier: the Evaluation that it was begun with, if it was. share: of the memory of the node;
        of a GPU it may use all that is free.
        Yields an ``nst.cluster.messages.Plan``, then a Message for each step, and another Plan
        whenever memory runs out.
        """
        from nst.cluster import messages
        from nst.runs.run import forecast_run, run_steps, shortage_text

        def plan(forecast: Any, told: bool = True) -> Any:
            news = shortage_text(forecast, job.settings, self.session.device) if told else ""
            return messages.Plan(forecast.facts(self.session, job), forecast.evaluation, news)

        self._stopped = False
        forecast = forecast_run(job, self.session, earlier, share)
        yield plan(forecast, told=False)
        steps = run_steps(job, self.session, forecast, position)
        seconds = position.seconds if position else 0.0
        yield from messages.send(steps, job.settings, seconds, lambda: self._stopped, plan)

    def stop(self) -> None:
        """Let ``work`` end after the iteration in hand."""
        self._stopped = True

    def tile(self, settings: Any, dtype: str, key: tuple, name: str, arguments: Any) -> Any:
        """Call the function ``name`` of ``TileGraphs.graph(*key)`` with arrays; returns arrays."""
        from nst.engine.tensorflow_alone import tf

        with self._turn, self.session.device.placed():
            graphs = self.session.graphs(settings, tf.dtypes.as_dtype(dtype))
            function = getattr(graphs.graph(*key), name)
            result = function(*tf.nest.map_structure(tf.constant, arguments))
            return tf.nest.map_structure(lambda tensor: tensor.numpy(), result)
