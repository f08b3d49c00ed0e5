"""What runs on the nodes of a cluster: one process for each worker, with weights and graphs.

The class is sent to the nodes as it is here, and brings the rest of the code with it: a node needs
the packages of ``requirements.txt`` and Ray, but neither this folder nor a shared disk.
"""

import io
import os
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def code() -> bytes:
    """This program, as a zip file that Python imports from."""
    root = Path(__file__).resolve().parent.parent
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for path in (root / "nst_utils.py", *sorted((root / "nst").glob("*.py"))):
            file.write(path, path.relative_to(root))
    return buffer.getvalue()


class Worker:
    """Makes pictures, or evaluates tiles, one after the other."""

    def __init__(self, program: bytes, threads: int) -> None:
        """Get ready to import the program. threads: processors that it may use."""
        with tempfile.NamedTemporaryFile(suffix=".zip", delete=False) as file:
            file.write(program)
        sys.path.insert(0, file.name)
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        import nst_utils

        nst_utils.make_deterministic()
        self._stopped = False

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

        graphs = self.studio.graphs(settings, tf.dtypes.as_dtype(number_type))
        found = getattr(graphs.of(*key), name)(*tf.nest.map_structure(tf.constant, arguments))
        return tf.nest.map_structure(lambda tensor: tensor.numpy(), found)
