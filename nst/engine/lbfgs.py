"""L-BFGS for a picture within 0..255: an optimizer (``nst.engine.optimizers.Optimizer``)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nst.engine.curvature import Curvature, SavedPairs, pair_bytes
from nst.engine.pixels import HIGH, IMAGE_BYTES, LOW
from nst.settings import Settings

if TYPE_CHECKING:
    import tensorflow as tf
else:
    from nst.engine.lazy_tensorflow import tf

FIRST = 0.08  # mean length of the first step, as a fraction of the range between the bounds
FORGOTTEN = 0.1  # length of the step after the curvature was forgotten, of that of a first step
MOST_REJECTED = 4  # trials in a row, then the curvature is forgotten
MOST_PAIRS, FEWEST_PAIRS = 20, 4
PAIR_PIXELS = 80_000_000  # pairs that are kept times pixels, about
TINY = 1e-30  # avoids division by 0


class SavedLBFGS(NamedTuple):
    """State of L-BFGS on the host.

    accepted: whether the image judged last was taken. image, cost, gradient: the image taken last,
    its cost and its gradient. direction, length: the next trial is the image plus length times
    direction, clipped. rejected: trials in a row that were not taken. pairs: (change of the image,
    change of the gradient), the oldest first. remembered: how many pairs were ever added. products:
    of ``Curvature.saved_products``; None if they were not saved.
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
        """Return itself, as it is on the host."""
        return self


class LBFGSState(NamedTuple):
    """State of L-BFGS as tensors; fields as of SavedLBFGS, with the pairs in ``curvature``.

    ``cost`` is infinite before the first image.
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
        """Return the state on the host; its pairs are copied when they are read."""
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

    It depends on the size alone, so that the picture does not depend on the machine's memory.
    """
    return min(MOST_PAIRS, max(FEWEST_PAIRS, PAIR_PIXELS // math.prod(size)))


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS (Nocedal and Wright 2006, section 7.2) within bounds.

    The direction is -H times the gradient over the values that are free to move; those at a bound
    that the step would cross stay (two-metric projection, Bertsekas 1982). The trial is clipped to
    the bounds, and taken if its cost is lower. Nearly every trial is taken at full length, so an
    iteration takes one evaluation. After a trial that was not taken the length shrinks to the
    minimum of the parabola through both costs and the slope.

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
        """Return the optimizer for images of ``size``, (height, width)."""
        return cls(pairs_kept(size))

    @staticmethod
    def state_bytes(size: tuple[int, int]) -> float:
        """Bytes of image, gradient, direction, two temporaries, and the pairs."""
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
        """Take an image of lower cost; the first image gives no pair, as nothing has moved."""
        free = self._free(image, gradient)
        masked = tf.where(free, gradient, 0.0)
        curvature, product, is_curved = state.curvature.add(
            image - state.image, gradient - state.gradient, masked, free
        )
        direction = tf.cond(
            is_curved, lambda: tf.where(free, -product, 0.0), lambda: self._steepest(masked)
        )
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
        """Shorten a step whose cost was not lower; after several, forget the curvature."""
        gradient = state.gradient
        descent = tf.reduce_sum(gradient * (image - state.image))  # directional derivative
        descent = tf.cast(descent, tf.float64)
        best = -descent / (2 * (cost - state.cost - descent))
        can_fit = tf.math.is_finite(cost) & (descent < 0)
        shorter = tf.where(can_fit, tf.clip_by_value(best, 0.1, 0.5), 0.5)
        rejected = state.rejected + 1
        forgets = tf.equal(rejected, MOST_REJECTED) & (state.curvature.kept > 0)
        direction = tf.cond(
            forgets,
            lambda: self._steepest(tf.where(self._free(state.image, gradient), gradient, 0.0)),
            lambda: state.direction,
        )
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
        """Steepest descent, with the length of a first step; for a state without curvature."""
        size = tf.maximum(tf.reduce_mean(tf.abs(gradient)), TINY)
        return (-self.first * (self.high - self.low) / size) * gradient
