"""Optimizers of a picture within 0..255. An object holds settings only; its state is a value.

A file holds 0..255 only. Without bounds an optimizer would hide style in values that saving cuts
off, so they are part of the optimisation. Images, gradients and states are tensors, which stay on
the device that evaluates J: a step can be part of a tf.function.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from nst.engine.lbfgs import LBFGS  # noqa: F401 (found by its name)
from nst.engine.pixels import HIGH, IMAGE_BYTES, LOW
from nst.options import OPTIMIZERS
from nst.settings import Settings

if TYPE_CHECKING:
    import tensorflow as tf
else:
    from nst.engine.lazy_tensorflow import tf


class SavedState(Protocol):
    """The state of an optimizer on the host: a NamedTuple of numbers and float32 arrays.

    ``pairs`` of arrays, if it has them, are numbered, each saved once; ``remembered`` is then the
    number of the last one. Any other field that is not an array must be a Python number, bool or
    None, which checkpoints write as JSON.
    """

    @property
    def image(self) -> np.ndarray: ...
    def _asdict(self) -> dict[str, Any]: ...
    def saved(self) -> SavedState:
        """Itself."""


class OptimizerState(Protocol):
    """The state of an optimizer: a NamedTuple of tensors.

    accepted: whether the image judged last was taken. image: the one taken last.
    """

    @property
    def accepted(self) -> Any: ...
    @property
    def image(self) -> Any: ...
    def check(self) -> None:
        """Raise OverwrittenError if it is no longer what it was."""

    def saved(self) -> SavedState:
        """The state on the host; raises OverwrittenError as ``check``, or when its pairs are read.

        It can be called from any thread, until two more steps were made: later ones write where
        the oldest pairs of L-BFGS were.
        """


class Optimizer(Protocol):
    """What moves a picture. Images and gradients are float32 tensors of one shape.

    ``transfer_style`` evaluates J of the first image, then of what ``step`` returns. A new one is
    a class here and its line in ``nst.options.OPTIMIZERS``; a frozen dataclass, as graphs of a
    step are kept for equal ones.
    """

    uses_learning_rate: bool  # of the settings
    Saved: type[Any]  # its SavedState, which checkpoints make again from the saved fields

    @classmethod
    def create(cls, settings: Settings, size: tuple[int, int]) -> Optimizer:
        """The optimizer of ``settings`` for images of ``size``, (height, width)."""

    @staticmethod
    def state_bytes(size: tuple[int, int]) -> float:
        """Bytes that its state and a step take for an image of ``size``, (height, width)."""

    def init(self, image: tf.Tensor) -> Any:
        """Return the state before the first image."""

    def step(
        self, image: tf.Tensor, cost: tf.Tensor, gradient: tf.Tensor, state: Any
    ) -> tuple[tf.Tensor, Any]:
        """Judge an image by its cost and gradient; return the next image and the new state.

        cost: a float64 scalar. Operations of TensorFlow only, without Python's side effects.
        """

    def trial(self, state: Any) -> tf.Tensor:
        """Return the image to evaluate next: the one that ``step`` returned with ``state``."""

    def load(self, saved: Any) -> Any:
        """Return the state that was saved."""

    def continue_from(self, image: tf.Tensor, state: Any) -> Any:
        """Return the state before the first image of a cost that is nearly that of ``state``."""


def optimizer_class(name: str) -> type[Optimizer]:
    """The class of a word of ``--optimizer``."""
    return globals()[OPTIMIZERS[name]]


def on_device(optimizer: Optimizer, state: Any) -> Any:
    """The state itself, or the one that was saved; raises OverwrittenError."""
    if isinstance(state.image, np.ndarray):
        return optimizer.load(state)
    state.check()
    return state


def on_host(state: Any) -> Any:
    """A state of tensors as numbers and arrays, of the same class."""

    def copied(value: Any) -> Any:
        if not isinstance(value, tf.Tensor):
            return value
        return value.numpy() if value.shape.rank else value.numpy().item()

    return tf.nest.map_structure(copied, state)


class AdamState(NamedTuple):
    """State of Adam: steps taken, first and second moments of the gradient (float32, as image)."""

    count: Any  # type: ignore[assignment]  # tuples have a method of this name
    first: Any
    second: Any
    image: Any
    accepted: Any = True

    def check(self) -> None:
        """It is never written over."""

    def saved(self) -> AdamState:
        """The state on the host."""
        return on_host(self)


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015, in the order of the end of its section 2), projected to 0..255."""

    learning_rate: float
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    uses_learning_rate = True
    Saved = AdamState

    @classmethod
    def create(cls, settings: Settings, size: tuple[int, int]) -> Adam:
        """Return the optimizer with the learning rate of ``settings``."""
        return cls(settings.learning_rate)

    @staticmethod
    def state_bytes(size: tuple[int, int]) -> float:
        """Two moments of the gradient."""
        return 2 * IMAGE_BYTES * math.prod(size)

    def init(self, image: tf.Tensor) -> AdamState:
        """Return the state before the first step for an image (H, W, 3) float32."""
        image = tf.convert_to_tensor(image, tf.float32)
        zeros = tf.zeros_like(image)
        return AdamState(tf.constant(0, tf.int64), zeros, zeros, image, tf.constant(True))

    def step(
        self, image: tf.Tensor, cost: tf.Tensor, gradient: tf.Tensor, state: AdamState
    ) -> tuple[tf.Tensor, AdamState]:
        """Move an image (H, W, 3) float32 against the gradient of the cost.

        Returns a new image and the new state, which holds ``image``.
        """
        image, gradient = (tf.convert_to_tensor(x, tf.float32) for x in (image, gradient))
        first = self.beta_1 * state.first + (1 - self.beta_1) * gradient
        second = self.beta_2 * state.second + (1 - self.beta_2) * tf.square(gradient)
        state = AdamState(state.count + 1, first, second, image, tf.constant(True))
        return self.trial(state), state

    def trial(self, state: AdamState) -> tf.Tensor:
        """Return the image to evaluate next, after the first."""
        count = tf.cast(state.count, tf.float64)
        rate = self.learning_rate * tf.sqrt(1 - self.beta_2**count) / (1 - self.beta_1**count)
        length = tf.sqrt(state.second) + self.epsilon
        return tf.clip_by_value(
            state.image - tf.cast(rate, tf.float32) * state.first / length, LOW, HIGH
        )

    def load(self, saved: AdamState) -> AdamState:
        """Return the state that was saved."""
        first, second, image = map(tf.constant, (saved.first, saved.second, saved.image))
        return AdamState(
            tf.constant(saved.count, tf.int64), first, second, image, tf.constant(True)
        )

    def continue_from(self, image: tf.Tensor, state: AdamState) -> AdamState:
        """A new state: moments of another image make Adam worse."""
        return self.init(image)
