"""Optimizers of a picture within 0..255: settings only; their state is a separate value.

All have ``init(image) -> state`` and ``step(image, cost, gradient, state) -> (image, state)``:
given cost and gradient of the image that was asked for last, they return the next one to evaluate,
which is ``trial(state)``. ``state.accepted`` tells whether the image just judged was taken;
``state.image`` is the one taken last, None before the first. Arrays of a state are never changed,
so that it can be saved at any time, from any thread.

A file holds 0..255 only. Without bounds an optimizer would hide style in values that saving cuts
off, so they are part of the optimisation.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nst.blocks import dot, row_blocks

LOW, HIGH = 0.0, 255.0
# Of L-BFGS:
FIRST = 0.08  # mean length of the first step, in times the range between the bounds
FORGOTTEN = 0.1  # of that length after the curvature was forgotten
MOST_REJECTED = 4  # trials in a row
LEAST_CURVATURE = 1e-6  # of a pair, as the cosine of its parts
TINY = 1e-30


class AdamState(NamedTuple):
    """State of Adam: steps taken, first and second moments of the gradient (float32, as image)."""

    count: int
    first: np.ndarray
    second: np.ndarray
    image: np.ndarray | None = None
    accepted: bool = True


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015, in the order of the end of its section 2), projected to 0..255."""

    learning_rate: float
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def init(self, image: np.ndarray) -> AdamState:
        """Return the state before the first step for an image (H, W, 3) float32."""
        return AdamState(0, np.zeros_like(image), np.zeros_like(image))

    def step(
        self, image: np.ndarray, cost: float, gradient: np.ndarray, state: AdamState
    ) -> tuple[np.ndarray, AdamState]:
        """Move an image (H, W, 3) float32 against the gradient of the cost.

        Returns a new image and the new state, which keeps ``image``.
        """
        first, second = np.empty_like(state.first), np.empty_like(state.second)
        for rows in row_blocks(image):
            slope = gradient[rows]
            np.multiply(state.first[rows], np.float32(self.beta_1), out=first[rows])
            first[rows] += np.float32(1 - self.beta_1) * slope
            np.multiply(state.second[rows], np.float32(self.beta_2), out=second[rows])
            second[rows] += np.float32(1 - self.beta_2) * np.square(slope)
        state = AdamState(state.count + 1, first, second, image)
        return self.trial(state), state

    def trial(self, state: AdamState) -> np.ndarray:
        """Return the image to evaluate next, after the first."""
        count = state.count
        rate = self.learning_rate * np.sqrt(1 - self.beta_2**count) / (1 - self.beta_1**count)
        moved = np.empty_like(state.image)
        for rows in row_blocks(moved):
            size = np.sqrt(state.second[rows]) + np.float32(self.epsilon)
            step = np.float32(rate) * state.first[rows] / size
            np.clip(state.image[rows] - step, LOW, HIGH, out=moved[rows])
        return moved


class LBFGSState(NamedTuple):
    """State of L-BFGS.

    accepted: whether the image judged last was taken. image, cost, gradient: of the one that was
    taken last, None before the first. direction, length: the next trial is the image plus length
    times direction, clipped. rejected: trials in a row that were not taken. pairs: (change of the
    image, change of the gradient), the oldest first. remembered: pairs ever added; the last of
    ``pairs`` has this number.
    """

    accepted: bool = False
    image: np.ndarray | None = None
    cost: float = math.inf
    gradient: np.ndarray | None = None
    direction: np.ndarray | None = None
    length: float = 1.0
    rejected: int = 0
    pairs: tuple[tuple[np.ndarray, np.ndarray], ...] = ()
    remembered: int = 0


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS (Nocedal and Wright 2006, algorithms 7.4 and 7.5) within bounds.

    The two loops run in the subspace of the pixels that are free to move: those at a bound with the
    slope pointing outwards are left out (two-metric projection, Bertsekas 1982), and so keep their
    curvature out of the others'. The trial is clipped to the bounds. It is taken if the cost is
    lower, without asking for more: nearly always at full length, so an evaluation is an iteration.
    Otherwise the length shrinks to the minimum of a parabola through what is known.

    memory: pairs that are kept.
    """

    memory: int = 20
    low: float = LOW
    high: float = HIGH

    def init(self, image: np.ndarray) -> LBFGSState:
        """Return the state before the first image."""
        return LBFGSState()

    def step(
        self, image: np.ndarray, cost: float, gradient: np.ndarray, state: LBFGSState
    ) -> tuple[np.ndarray, LBFGSState]:
        """Judge an image, float32 of any shape, and return the next trial and the new state.

        cost: one that is not finite is judged as too high, but for the first image. The state keeps
        ``image`` and ``gradient``, which the caller must not change.
        """
        if state.image is None or cost < state.cost:
            pairs, remembered = state.pairs, state.remembered
            if state.image is not None:
                pair = image - state.image, gradient - state.gradient
                if _is_curved(dot(*pair), dot(pair[0], pair[0]), dot(pair[1], pair[1])):
                    pairs, remembered = (*pairs, pair)[-self.memory :], remembered + 1
            direction = self._direction(image, gradient, pairs)
            state = LBFGSState(
                True, image, cost, gradient, direction, pairs=pairs, remembered=remembered
            )
        else:
            state = self._shorter(image, cost, state)
        return self.trial(state), state

    def trial(self, state: LBFGSState) -> np.ndarray:
        """Return the image to evaluate next, after the first."""
        trial = np.empty_like(state.image)
        for rows in row_blocks(trial):
            moved = state.image[rows] + np.float32(state.length) * state.direction[rows]
            np.clip(moved, self.low, self.high, out=trial[rows])
        return trial

    def _shorter(self, image: np.ndarray, cost: float, state: LBFGSState) -> LBFGSState:
        """Shorten a step whose end was no better; after several, forget the curvature."""
        slope = dot(state.gradient, image - state.image)
        shorter = 0.5
        if math.isfinite(cost) and slope < 0:
            shorter = min(0.5, max(0.1, -slope / (2 * (cost - state.cost - slope))))
        state = state._replace(
            accepted=False, rejected=state.rejected + 1, length=state.length * shorter
        )
        if state.rejected == MOST_REJECTED and state.pairs:
            direction = self._direction(state.image, state.gradient, ())
            state = state._replace(direction=direction, length=FORGOTTEN, pairs=())
        return state

    def _direction(
        self,
        image: np.ndarray,
        gradient: np.ndarray,
        pairs: tuple[tuple[np.ndarray, np.ndarray], ...],
    ) -> np.ndarray:
        """Minus the inverse Hessian times the gradient, in the subspace of the free pixels."""
        free = np.empty(image.shape, bool)
        direction = np.empty_like(gradient)
        for rows in row_blocks(image):
            x, slope = image[rows], gradient[rows]
            free[rows] = ~(((x <= self.low) & (slope > 0)) | ((x >= self.high) & (slope < 0)))
            direction[rows] = np.where(free[rows], -slope, 0)
        used, scale = [], None
        for moved, change in reversed(pairs):
            curvature, steep = dot(moved, change, free), dot(change, change, free)
            if not _is_curved(curvature, dot(moved, moved, free), steep):
                continue
            scale = scale or curvature / steep  # of the latest pair
            share = dot(moved, direction) / curvature
            _add_to_free(direction, -share, change, free)
            used.append((moved, change, curvature, share))
        if scale is None:
            size = float(np.abs(direction).mean(dtype=np.float64))
            scale = FIRST * (self.high - self.low) / max(size, TINY)
        direction *= np.float32(scale)
        for moved, change, curvature, share in reversed(used):
            _add_to_free(direction, share - dot(change, direction) / curvature, moved, free)
        return direction


def _is_curved(curvature: float, moved: float, change: float) -> bool:
    """Whether a pair curves upwards by more than rounding."""
    return curvature > LEAST_CURVATURE * math.sqrt(moved * change)


def _add_to_free(total: np.ndarray, factor: float, part: np.ndarray, free: np.ndarray) -> None:
    """Add ``factor * part`` to the free pixels of ``total``, in place."""
    for rows in row_blocks(total):
        total[rows] += np.float32(factor) * part[rows] * free[rows]
