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
from pathlib import Path
from typing import Any


def code() -> dict[str, str]:
    """This program: {name of a module: its source}."""
    root = Path(__file__).resolve().parent.parent
    files = {"nst_utils": root / "nst_utils.py", "nst": root / "nst/__init__.py"}
    files |= {f"nst.{path.stem}": path for path in (root / "nst").glob("[a-z]*.py")}
    return {name: path.read_text() for name, path in files.items()}


class Sources(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Imports modules from memory."""

    def __init__(self, program: dict[str, str]) -> None:
        self._program = program

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """The spec of a module of the program, None for any other."""
        if name not in self._program:
            return None
        origin = f"{name.replace('.', '/')}.py"
        spec = importlib.util.spec_from_loader(name, self, origin=origin)
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

    def __init__(self, program: dict[str, str], threads: int) -> None:
        """Get ready to import the program. threads: that it may use, 0 for all."""
        sys.meta_path.insert(0, Sources(program))
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        import nst_utils

        nst_utils.make_deterministic()
        self._stopped = False
        self._turn = threading.Lock()  # two calls are here at a time, the next one to be ready

    def learn(self, weights: Any) -> None:
        """Take the weights, an ``nst.weights.Weights``."""
        import nst_utils

        self.studio = nst_utils.Studio(weights.file, weights)

    def work(self, job: Any, kept: dict | None, position: Any, share: float) -> Iterator[Any]:
        """Make the picture of an ``nst.jobs.Job``, from a position or from the beginning.

        Yields (facts, kept) for its run folder, then an ``nst.messages.Message`` for each step.
        """
        import nst_utils
        from nst import messages, runs

        self._stopped = False
        outlook = runs.foresee(job, self.studio, kept, share)
        yield outlook.facts(self.studio, job), outlook.kept(job)
        steps = runs.perform(job, self.studio, outlook, position, nst_utils.transfer_style)
        seconds = position.seconds if position else 0.0
        yield from messages.send(steps, job.settings, seconds, lambda: self._stopped)

    def stop(self) -> None:
        """Let ``work`` end after the iteration in hand."""
        self._stopped = True

    def tile(self, settings: Any, number_type: str, key: tuple, name: str, arguments: Any) -> Any:
        """Call a function of ``Graphs.of(*key)`` with arrays; returns arrays."""
        import tensorflow as tf

        with self._turn:
            graphs = self.studio.graphs(settings, tf.dtypes.as_dtype(number_type))
            found = getattr(graphs.of(*key), name)(*tf.nest.map_structure(tf.constant, arguments))
            return tf.nest.map_structure(lambda tensor: tensor.numpy(), found)
