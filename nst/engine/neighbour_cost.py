"""The cost of Neural Neighbor Style Transfer: every position has a style feature of its own.

Kolkin, Kucera, Paris, Sykora, Shechtman and Shakhnarovich 2022 (arXiv:2203.13215).
``nst.engine.neighbour_search`` finds the feature of each position; it stays the same while the cost
is minimised.
"""

from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

SMALLEST = 1e-4  # added to squared lengths, which are above 1 except on flat areas


class NeighbourTarget(NamedTuple):
    """What positions are compared with.

    directions: (1, h, w, C) in the dtype of the network; the length of each is its weight. The
    style's own centre is already subtracted. centre: (C,) float32, to subtract from the activations
    of the picture.
    """

    directions: tf.Tensor
    centre: tf.Tensor


@dataclass(frozen=True)
class NeighbourCost:
    """Mean over positions of |v| (1 - cos(f - c, v)).

    v is the direction of the target, c its centre, and f the mean of the activation over ``cells``
    x ``cells``.
    """

    channels: int
    cells: int = 1
    compares_positions = True

    def target_spec(self, dtype: tf.DType) -> NeighbourTarget:
        """Shapes and dtypes of a target."""
        directions = tf.TensorSpec((1, None, None, self.channels), dtype)
        return NeighbourTarget(directions, tf.TensorSpec((self.channels,)))

    def kept(self, F: tf.Tensor) -> tf.Tensor:
        """Means over cells, (1, h / cells, w / cells, C), rounded up, in the dtype of F."""
        if self.cells == 1:
            return F
        k, sides = self.cells, self._sides(F)
        # The pool refuses an activation without cells, as of a tile that lies in the border.
        padding = [[0, 0], *([0, tf.maximum(count, 1) * k - side] for count, side in sides), [0, 0]]
        means = tf.nn.avg_pool2d(tf.pad(F, padding), k, k, "VALID")
        means = means[:, : sides[0][0], : sides[1][0]]
        return tf.cast(tf.cast(means, tf.float32) / self._covered(F), F.dtype)

    def sums(
        self, F: tf.Tensor, target: NeighbourTarget, guide: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Sum over positions, a scalar."""
        directions = tf.cast(target.directions, tf.float32)
        seen, inverse = self._seen(F, target)
        lengths = tf.norm(directions, axis=-1, keepdims=True)  # (1, h, w, 1)
        along = tf.reduce_sum(directions * seen, axis=-1, keepdims=True) * inverse
        return tf.reduce_sum(lengths - along)

    def value(self, mean: tf.Tensor, target: None = None) -> tf.Tensor:
        """The cost, a scalar."""
        return mean

    def dvalue(
        self, mean: tf.Tensor, target: None, weight: float, positions: tf.Tensor
    ) -> tf.Tensor:
        """Derivative of weight * cost with respect to ``sums``, a scalar."""
        return weight / positions

    def gradient(
        self,
        F: tf.Tensor,
        target: NeighbourTarget,
        dsums: tf.Tensor,
        guide: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """dJ/dF, (1, h, w, C): -(v - u <u, v>) / |f - c|, where u is the unit vector of f - c."""
        directions = tf.cast(target.directions, tf.float32)
        seen, inverse = self._seen(F, target)
        unit = seen * inverse
        along = tf.reduce_sum(directions * unit, axis=-1, keepdims=True)
        gradient = (unit * along - directions) * (inverse * dsums)
        if self.cells == 1:
            return gradient
        gradient /= self._covered(F) * self.cells**2
        if F.dtype != tf.float16:  # the range of float16 is too small for gradients
            gradient = tf.cast(gradient, F.dtype)
        for axis in (1, 2):
            gradient = tf.repeat(gradient, self.cells, axis)
        return gradient[:, : tf.shape(F)[1], : tf.shape(F)[2]]

    def _seen(self, F: tf.Tensor, target: NeighbourTarget) -> tuple[tf.Tensor, tf.Tensor]:
        """f - c, (1, h, w, C) float32, and 1 / its length, (1, h, w, 1)."""
        seen = tf.cast(self.kept(F), tf.float32) - target.centre
        squares = tf.reduce_sum(tf.square(seen), axis=-1, keepdims=True)
        return seen, tf.math.rsqrt(squares + SMALLEST)

    def _sides(self, F: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """(positions, cells of the activation) along height and width."""
        sides = [tf.shape(F)[1], tf.shape(F)[2]]
        return [((side + self.cells - 1) // self.cells, side) for side in sides]

    def _covered(self, F: tf.Tensor) -> tf.Tensor:
        """Share of the cells of each position that lie inside, (1, h, w, 1) float32."""
        rows, columns = (
            tf.cast(tf.minimum(self.cells, side - self.cells * tf.range(count)), tf.float32)
            for count, side in self._sides(F)
        )
        return (rows[:, tf.newaxis] * columns / self.cells**2)[tf.newaxis, :, :, tf.newaxis]
