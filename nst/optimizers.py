"""Optimizers: settings only; their state is a separate value passed in and out."""

from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf


class AdamState(NamedTuple):
    """State of Adam: steps taken, first and second moments of the gradient (float32, as image)."""

    count: tf.Tensor
    first: tf.Tensor
    second: tf.Tensor


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015, algorithm 1), projected to the pixel values 0..255.

    A file holds 0..255 only. Without the projection the optimizer would hide style in values that
    saving cuts off.
    """

    learning_rate: float
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def init(self, image: tf.Tensor) -> AdamState:
        """Return the state before the first step for an image (H, W, 3) float32."""
        return AdamState(tf.zeros((), tf.float32), tf.zeros_like(image), tf.zeros_like(image))

    @tf.function
    def step(
        self, image: tf.Tensor, gradient: tf.Tensor, state: AdamState
    ) -> tuple[tf.Tensor, AdamState]:
        """Move an image (H, W, 3) against the gradient of the cost; return it and the new state."""
        count = state.count + 1
        first = self.beta_1 * state.first + (1 - self.beta_1) * gradient
        second = self.beta_2 * state.second + (1 - self.beta_2) * tf.square(gradient)
        rate = self.learning_rate * tf.sqrt(1 - self.beta_2**count) / (1 - self.beta_1**count)
        moved = image - rate * first / (tf.sqrt(second) + self.epsilon)
        return tf.clip_by_value(moved, 0.0, 255.0), AdamState(count, first, second)
