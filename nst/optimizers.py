"""Optimizers: settings only; their state is a separate value passed in and out."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

ROWS = 256  # rows of the picture that are worked on at a time, to need little memory


class AdamState(NamedTuple):
    """State of Adam: steps taken, first and second moments of the gradient (float32, as image)."""

    count: int
    first: np.ndarray
    second: np.ndarray


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015, in the order of the end of its section 2), kept within 0..255.

    A file holds 0..255 only. Without the projection the optimizer would hide style in values that
    saving cuts off.
    """

    learning_rate: float
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def init(self, image: np.ndarray) -> AdamState:
        """Return the state before the first step for an image (H, W, 3) float32."""
        return AdamState(0, np.zeros_like(image), np.zeros_like(image))

    def step(
        self, image: np.ndarray, gradient: np.ndarray, state: AdamState
    ) -> tuple[np.ndarray, AdamState]:
        """Move an image (H, W, 3) float32 against the gradient of the cost.

        Returns a new image and the new state, which takes over the arrays of ``state``.
        """
        count = state.count + 1
        rate = self.learning_rate * np.sqrt(1 - self.beta_2**count) / (1 - self.beta_1**count)
        moved = np.empty_like(image)
        for top in range(0, len(image), ROWS):
            rows = slice(top, top + ROWS)
            first, second, slope = state.first[rows], state.second[rows], gradient[rows]
            first *= np.float32(self.beta_1)
            first += np.float32(1 - self.beta_1) * slope
            second *= np.float32(self.beta_2)
            second += np.float32(1 - self.beta_2) * np.square(slope)
            step = np.float32(rate) * first / (np.sqrt(second) + np.float32(self.epsilon))
            np.clip(image[rows] - step, 0, 255, out=moved[rows])
        return moved, AdamState(count, state.first, state.second)
