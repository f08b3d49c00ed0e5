"""Costs and frames for TensorBoard: ``tensorboard --logdir output``."""

import contextlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nst.engine.step import Step
from nst.errors import OutputError, UsageError
from nst.pictures.resize import resize, scaled_size
from nst.pictures.write import to_pixels

SIDE = 800  # pixels along the long side of a frame, at most


def check_tensorboard() -> None:
    """Raise UsageError unless TensorBoard is installed: ``tf.summary`` needs it."""
    if importlib.util.find_spec("tensorboard") is None:
        raise UsageError("tensorboard: is not installed; pip install tensorboard, or leave it out")


class TensorBoardLog:
    """The event file of one process of a run; a resumed run adds another beside it.

    Raises OutputError where it cannot be written.
    """

    def __init__(self, folder: Path, layers: Sequence[str]) -> None:
        """Begin an event file in ``folder``. layers: the names of the style layers."""
        self._folder, self._layers = folder, layers
        self._writer: Any = None

    @staticmethod
    def remove(folder: Path) -> None:
        """Remove the event files of earlier processes, and the folder if nothing else is in it."""
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
        with contextlib.suppress(OSError):
            folder.rmdir()

    def add(self, step: Step, framed: bool) -> None:
        """Log the costs of a step, and its picture if ``framed``."""
        import tensorflow as tf  # late: it takes seconds, and nothing else here needs it

        try:
            if self._writer is None:
                self._writer = tf.summary.create_file_writer(str(self._folder))
            with self._writer.as_default(step=step.iteration):
                for name, cost in step.costs.named().items():
                    tf.summary.scalar(name, cost)
                for layer, cost in zip(self._layers, step.costs.layers):
                    tf.summary.scalar(f"J_style layers/{layer}", cost)
                if framed and (image := step.image) is not None:
                    factor = min(1.0, SIDE / max(image.shape[:2]))
                    small = resize(image, scaled_size(image.shape, factor))
                    tf.summary.image("picture", to_pixels(small)[np.newaxis])
                    self._writer.flush()
        except (tf.errors.OpError, OSError) as error:
            reason = getattr(error, "message", str(error))
            raise OutputError(
                f"{self._folder}: {reason}; free some space, or leave out --tensorboard"
            ) from None

    def close(self) -> None:
        """Flush the event file."""
        if self._writer:
            self._writer.close()
