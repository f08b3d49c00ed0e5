"""Optimizers of a picture within 0..255. An object holds settings only; its state is a value.

A file holds 0..255 only. Without bounds an optimizer would hide style in values that saving cuts
off, so they are part of the optimisation.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from nst.engine.rows import dot, row_blocks
from nst.settings import OPTIMIZERS, Settings

LOW, HIGH = 0.0, 255.0
IMAGE_BYTES = 12  # a pixel of an image or gradient, three float32
# Of L-BFGS:
FIRST = 0.08  # mean length of the first step, as a fraction of the range between the bounds
FORGOTTEN = 0.1  # of that length after the curvature was forgotten
MOST_REJECTED = 4  # trials in a row
LEAST_CURVATURE = 1e-6  # smallest cosine between the two arrays of a pair that is kept
MOST_PAIRS, FEWEST_PAIRS = 20, 4
PAIR_PIXELS = 80_000_000  # pairs times pixels
TINY = 1e-30  # avoids division by 0


class OptimizerState(Protocol):
    """State of an optimizer: a NamedTuple of numbers and float32 arrays, which never change.

    So it can be saved at any time, from any thread. ``pairs`` of arrays, if it has them, are
    numbered, each saved once; ``remembered`` is then the number of the last one. Any other field
    that is not an array must be a Python number, bool or None, which checkpoints write as JSON.

    accepted: whether the image judged last was taken. image: the one taken last, None before the
    first.
    """

    @property
    def accepted(self) -> bool: ...
    @property
    def image(self) -> np.ndarray | None: ...
    def _asdict(self) -> dict[str, Any]: ...


class Optimizer(Protocol):
    """What moves a picture. Images and gradients are float32 arrays of one shape.

    ``transfer_style`` evaluates J of the first image, then of what ``step`` returns. A new one is
    a class here and its line in ``nst.settings.OPTIMIZERS``.
    """

    uses_learning_rate: bool  # of the settings
    State: type  # its OptimizerState, which checkpoints make again from the saved fields

    @classmethod
    def create(cls, settings: Settings, size: tuple[int, int]) -> "Optimizer":
        """The optimizer of ``settings`` for images of ``size``, (height, width)."""

    @staticmethod
    def state_bytes(size: tuple[int, int]) -> float:
        """Bytes that its state and a step take for an image of ``size``, (height, width)."""

    def init(self, image: np.ndarray) -> Any:
        """Return the state before the first image."""

    def step(
        self, image: np.ndarray, cost: float, gradient: np.ndarray, state: Any
    ) -> tuple[np.ndarray, Any]:
        """Judge an image by its cost and gradient; return the next image and the new state.

        The state keeps ``image``, and may keep ``gradient``: the caller must not change them.
        """

    def trial(self, state: Any) -> np.ndarray:
        """Return the image to evaluate next: the one that ``step`` returned with ``state``."""


def taken_image(state: OptimizerState | None) -> np.ndarray:
    """The image taken last, of a state that has judged one."""
    assert state is not None
    assert state.image is not None
    return state.image


def optimizer_class(name: str) -> type[Optimizer]:
    """The class of a word of ``--optimizer``."""
    return globals()[OPTIMIZERS[name]]


class AdamState(NamedTuple):
    """State of Adam: steps taken, first and second moments of the gradient (float32, as image)."""

    count: int  # type: ignore[assignment]  # tuples have a method of this name
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

    uses_learning_rate = True
    State = AdamState

    @classmethod
    def create(cls, settings: Settings, size: tuple[int, int]) -> "Adam":
        """Return the optimizer with the learning rate of ``settings``."""
        return cls(settings.learning_rate)

    @staticmethod
    def state_bytes(size: tuple[int, int]) -> float:
        """Two moments of the gradient."""
        return 2 * IMAGE_BYTES * math.prod(size)

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
            g = gradient[rows]
            np.multiply(state.first[rows], np.float32(self.beta_1), out=first[rows])
            first[rows] += np.float32(1 - self.beta_1) * g
            np.multiply(state.second[rows], np.float32(self.beta_2), out=second[rows])
            second[rows] += np.float32(1 - self.beta_2) * np.square(g)
        state = AdamState(state.count + 1, first, second, image)
        return self.trial(state), state

    def trial(self, state: AdamState) -> np.ndarray:
        """Return the image to evaluate next, after the first."""
        count = state.count
        rate = self.learning_rate * np.sqrt(1 - self.beta_2**count) / (1 - self.beta_1**count)
        image = taken_image(state)
        moved = np.empty_like(image)
        for rows in row_blocks(moved):
            size = np.sqrt(state.second[rows]) + np.float32(self.epsilon)
            step = np.float32(rate) * state.first[rows] / size
            np.clip(image[rows] - step, LOW, HIGH, out=moved[rows])
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


def curvature_of(state: Any) -> LBFGSState | None:
    """The curvature of a state of L-BFGS, to start from with a cost that is nearly the same."""
    if not isinstance(state, LBFGSState):
        return None
    return LBFGSState(pairs=state.pairs, remembered=state.remembered)


def pairs_kept(size: tuple[int, int]) -> int:
    """How many pairs L-BFGS keeps for an image of ``size``, (height, width).

    It depends on nothing else, so that the result does not depend on the machine's memory.
    """
    return min(MOST_PAIRS, max(FEWEST_PAIRS, PAIR_PIXELS // math.prod(size)))


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS (Nocedal and Wright 2006, algorithms 7.4 and 7.5) within bounds.

    The two loops run in the subspace of the pixels that are free to move: those at a bound with the
    gradient pointing outwards are left out (two-metric projection, Bertsekas 1982), and so keep
    their curvature out of the others'. The trial is clipped to the bounds, and taken if the cost is
    lower, without asking for more: nearly always at full length, so an iteration takes one
    evaluation. Otherwise the length shrinks to the minimum of a parabola through both costs and the
    slope.

    memory: pairs that are kept. first: mean length of the first step, as a fraction of the range.
    """

    memory: int = MOST_PAIRS
    low: float = LOW
    high: float = HIGH
    first: float = FIRST

    uses_learning_rate = False
    State = LBFGSState

    @classmethod
    def create(cls, settings: Settings, size: tuple[int, int]) -> "LBFGS":
        """Return the optimizer with as many pairs as suit images of ``size``."""
        return cls(pairs_kept(size))

    @staticmethod
    def state_bytes(size: tuple[int, int]) -> float:
        """Image, gradient, direction, two temporaries, and two arrays a pair."""
        return (5 + 2 * pairs_kept(size)) * IMAGE_BYTES * math.prod(size)

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
        image, direction = taken_image(state), state.direction
        assert direction is not None  # from the image taken last
        trial = np.empty_like(image)
        for rows in row_blocks(trial):
            moved = image[rows] + np.float32(state.length) * direction[rows]
            np.clip(moved, self.low, self.high, out=trial[rows])
        return trial

    def _shorter(self, image: np.ndarray, cost: float, state: LBFGSState) -> LBFGSState:
        """Shorten a step whose end was no better; after several, forget the curvature."""
        taken, gradient = taken_image(state), state.gradient
        assert gradient is not None  # of the image taken last
        descent = dot(gradient, image - taken)  # directional derivative
        shorter = 0.5
        if math.isfinite(cost) and descent < 0:
            shorter = min(0.5, max(0.1, -descent / (2 * (cost - state.cost - descent))))
        state = state._replace(
            accepted=False, rejected=state.rejected + 1, length=state.length * shorter
        )
        if state.rejected == MOST_REJECTED and state.pairs:
            direction = self._direction(taken, gradient, ())
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
            x, g = image[rows], gradient[rows]
            free[rows] = ~(((x <= self.low) & (g > 0)) | ((x >= self.high) & (g < 0)))
            direction[rows] = np.where(free[rows], -g, 0)
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
            scale = self.first * (self.high - self.low) / max(size, TINY)
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
