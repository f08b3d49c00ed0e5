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

from nst.engine.curvature import Curvature, SavedPairs, pair_bytes
from nst.settings import OPTIMIZERS, Settings

if TYPE_CHECKING:
    import tensorflow as tf
else:
    from nst.engine.lazy_tensorflow import tf

LOW, HIGH = 0.0, 255.0
IMAGE_BYTES = 12  # a pixel of an image or gradient, three float32
# Of L-BFGS:
FIRST = 0.08  # mean length of the first step, as a fraction of the range between the bounds
FORGOTTEN = 0.1  # of that length after the curvature was forgotten
MOST_REJECTED = 4  # trials in a row
MOST_PAIRS, FEWEST_PAIRS = 20, 4
PAIR_PIXELS = 80_000_000  # pairs times pixels
TINY = 1e-30  # avoids division by 0


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
    a class here and its line in ``nst.settings.OPTIMIZERS``; a frozen dataclass, as graphs of a
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


class SavedLBFGS(NamedTuple):
    """State of L-BFGS on the host.

    accepted: whether the image judged last was taken. image, cost, gradient: of the one that was
    taken last. direction, length: the next trial is the image plus length times direction,
    clipped. rejected: trials in a row that were not taken. pairs: (change of the image, change of
    the gradient), the oldest first. remembered: pairs ever added; the last of ``pairs`` has this
    number. products: of the pairs, see ``Curvature.saved_products``; None where they were not
    saved.
    """

    accepted: bool
    image: np.ndarray
    cost: float
    gradient: np.ndarray
    direction: np.ndarray
    length: float = 1.0
    rejected: int = 0
    pairs: SavedPairs | tuple[tuple[np.ndarray, np.ndarray], ...] = ()
    remembered: int = 0
    products: np.ndarray | None = None

    def saved(self) -> SavedLBFGS:
        """Itself."""
        return self


class LBFGSState(NamedTuple):
    """State of L-BFGS: as SavedLBFGS, but the pairs, and their numbers, are in ``curvature``.

    Before the first image ``cost`` is infinite.
    """

    accepted: tf.Tensor
    image: tf.Tensor
    cost: tf.Tensor  # float64
    gradient: tf.Tensor
    direction: tf.Tensor
    length: tf.Tensor  # float64
    rejected: tf.Tensor
    curvature: Curvature

    def check(self) -> None:
        """Raise OverwrittenError if later steps have written over a pair."""
        self.curvature.check()

    def saved(self) -> SavedLBFGS:
        """The state on the host, whose pairs are read when they are asked for."""
        return SavedLBFGS(
            bool(self.accepted),
            self.image.numpy(),
            float(self.cost),
            self.gradient.numpy(),
            self.direction.numpy(),
            float(self.length),
            int(self.rejected),
            SavedPairs(self.curvature, tuple(self.image.shape)),
            int(self.curvature.remembered),
            self.curvature.saved_products(),
        )


def pairs_kept(size: tuple[int, int]) -> int:
    """How many pairs L-BFGS keeps for an image of ``size``, (height, width).

    It depends on nothing else, so that the result does not depend on the machine's memory.
    """
    return min(MOST_PAIRS, max(FEWEST_PAIRS, PAIR_PIXELS // math.prod(size)))


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS (Nocedal and Wright 2006, section 7.2) within bounds.

    The direction is H times the gradient in the subspace of the pixels that are free to move: those
    at a bound with the gradient pointing outwards stay (two-metric projection, Bertsekas 1982). The
    trial is clipped to the bounds, and taken if the cost is lower, without asking for more: nearly
    always at full length, so an iteration takes one evaluation. Otherwise the length shrinks to the
    minimum of a parabola through both costs and the slope.

    memory: pairs that are kept. first: mean length of the first step, as a fraction of the range.
    """

    memory: int = MOST_PAIRS
    low: float = LOW
    high: float = HIGH
    first: float = FIRST

    uses_learning_rate = False
    Saved = SavedLBFGS

    @classmethod
    def create(cls, settings: Settings, size: tuple[int, int]) -> LBFGS:
        """Return the optimizer with as many pairs as suit images of ``size``."""
        return cls(pairs_kept(size))

    @staticmethod
    def state_bytes(size: tuple[int, int]) -> float:
        """Image, gradient, direction, two temporaries, and the pairs."""
        return 5 * IMAGE_BYTES * math.prod(size) + pair_bytes(pairs_kept(size), size)

    def init(self, image: tf.Tensor) -> LBFGSState:
        """Return the state before the first image, float32 of any shape."""
        image = tf.convert_to_tensor(image, tf.float32)
        return self._initial(image, Curvature.empty(self.memory, tf.size(image)))

    def continue_from(self, image: tf.Tensor, state: LBFGSState) -> LBFGSState:
        """Return the state before ``image``, with the curvature of ``state``."""
        return self._initial(tf.convert_to_tensor(image, tf.float32), state.curvature)

    def _initial(self, image: tf.Tensor, curvature: Curvature) -> LBFGSState:
        infinite, one = tf.constant(math.inf, tf.float64), tf.constant(1.0, tf.float64)
        zeros = tf.zeros_like(image)
        return LBFGSState(
            tf.constant(False), image, infinite, zeros, zeros, one, tf.constant(0), curvature
        )

    def step(
        self, image: tf.Tensor, cost: tf.Tensor, gradient: tf.Tensor, state: LBFGSState
    ) -> tuple[tf.Tensor, LBFGSState]:
        """Judge an image, float32 of any shape, and return the next trial and the new state.

        cost: float64; one that is not finite is judged as too high.
        """
        image, gradient = (tf.convert_to_tensor(x, tf.float32) for x in (image, gradient))
        cost = tf.cast(cost, tf.float64)
        # A cost that is not a number is no lower than any.
        state = tf.cond(
            cost < state.cost,
            lambda: self._take(image, cost, gradient, state),
            lambda: self._shorten(image, cost, state),
        )
        return self.trial(state), state

    def trial(self, state: LBFGSState) -> tf.Tensor:
        """Return the image to evaluate next, after the first."""
        moved = state.image + tf.cast(state.length, tf.float32) * state.direction
        return tf.clip_by_value(moved, self.low, self.high)

    def load(self, saved: SavedLBFGS) -> LBFGSState:
        """Return the state that was saved."""
        image, gradient, direction = map(
            tf.constant, (saved.image, saved.gradient, saved.direction)
        )
        curvature = Curvature.load(
            self.memory, tf.size(image), saved.pairs, saved.remembered, saved.products
        )
        return LBFGSState(
            tf.constant(saved.accepted),
            image,
            tf.constant(saved.cost, tf.float64),
            gradient,
            direction,
            tf.constant(saved.length, tf.float64),
            tf.constant(saved.rejected),
            curvature,
        )

    def _take(
        self, image: tf.Tensor, cost: tf.Tensor, gradient: tf.Tensor, state: LBFGSState
    ) -> LBFGSState:
        """Take an image that is better. Of the first one there is no pair, as it has not moved."""
        free = self._free(image, gradient)
        masked = tf.where(free, gradient, 0.0)
        curvature, product, is_curved = state.curvature.add(
            image - state.image, gradient - state.gradient, masked, free
        )
        direction = tf.where(is_curved, tf.where(free, -product, 0.0), self._steepest(masked))
        return LBFGSState(
            tf.constant(True),
            image,
            cost,
            gradient,
            direction,
            tf.constant(1.0, tf.float64),
            tf.constant(0),
            curvature,
        )

    def _shorten(self, image: tf.Tensor, cost: tf.Tensor, state: LBFGSState) -> LBFGSState:
        """Shorten a step whose end was no better; after several, forget the curvature."""
        gradient = state.gradient
        descent = tf.reduce_sum(gradient * (image - state.image))  # directional derivative
        descent = tf.cast(descent, tf.float64)
        best = -descent / (2 * (cost - state.cost - descent))
        can_fit = tf.math.is_finite(cost) & (descent < 0)
        shorter = tf.where(can_fit, tf.clip_by_value(best, 0.1, 0.5), 0.5)
        rejected = state.rejected + 1
        forgets = tf.equal(rejected, MOST_REJECTED) & (state.curvature.kept > 0)
        steepest = self._steepest(tf.where(self._free(state.image, gradient), gradient, 0.0))
        direction = tf.where(forgets, steepest, state.direction)
        return LBFGSState(
            tf.constant(False),
            state.image,
            state.cost,
            gradient,
            direction,
            tf.where(forgets, tf.constant(FORGOTTEN, tf.float64), state.length * shorter),
            rejected,
            state.curvature._replace(kept=tf.where(forgets, 0, state.curvature.kept)),
        )

    def _free(self, image: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        """Whether each value is free to move; a bool tensor."""
        at_low, at_high = image <= self.low, image >= self.high
        return ~((at_low & (gradient > 0)) | (at_high & (gradient < 0)))

    def _steepest(self, gradient: tf.Tensor) -> tf.Tensor:
        """The direction without curvature: against the gradient, of the length of a first step."""
        size = tf.maximum(tf.reduce_mean(tf.abs(gradient)), TINY)
        return (-self.first * (self.high - self.low) / size) * gradient
