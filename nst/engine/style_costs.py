"""Style costs beside the Gram matrix's, of the mean and the covariance of the channels.

Each is a cost of one layer (``nst.engine.cost_protocols.Cost``): its sums are the Gram matrix and
the totals of the channels, from which means and covariances follow. m and S are of the image, m*
and S* of the style.
"""

from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from nst.engine.products import channel_products, channel_totals, products_gradient

# Added to variances, as a share of the mean square: directions without any have no slope.
SMALLEST = 1e-6
FLOOR = 1e-5  # likewise, of covariances, which float32 sums leave that uncertain


class Moments(NamedTuple):
    """Sums over positions, or means: gram (C, C), mean (C,), float32."""

    gram: tf.Tensor
    mean: tf.Tensor


@dataclass(frozen=True)
class _CostOfMoments:
    """A cost of Gram matrix and means."""

    channels: int
    compares_positions = False

    def gradient(
        self, F: tf.Tensor, P: None, dsums: Moments, guide: tf.Tensor | None = None
    ) -> tf.Tensor:
        """(1, h, w, C)."""
        return products_gradient(F, dsums.gram, dsums.mean, guide)


@dataclass(frozen=True)
class MomentsCost(_CostOfMoments):
    """1/(4 C^2) sum (G - G*)^2 + 5/2 C (sum (m - m*)^2 + sum (s - s*)^2).

    G is the Gram matrix, s the standard deviation of each channel. Galerne, Raad, Lezama and Morel,
    Scaling Painting Style Transfer, 2024 (arXiv:2212.13459), section 3.2: with 250/C^2 as the
    weight of a layer, the balance of its parts and of the content is the paper's.
    """

    def sums(self, F: tf.Tensor, P: None = None, guide: tf.Tensor | None = None) -> Moments:
        """Gram matrix and totals."""
        return Moments(channel_products(F, guide), channel_totals(F, guide))

    def target(self, mean: Moments) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """G*, m*, s*, and what is added to variances."""
        floor = SMALLEST * tf.reduce_mean(tf.linalg.diag_part(mean.gram)) + 1e-12
        return mean.gram, mean.mean, _deviation(mean, floor), floor

    def value(self, mean: Moments, target: tuple) -> tf.Tensor:
        """The cost, a scalar."""
        gram, means, deviations, floor = target
        of_gram = tf.reduce_sum(tf.square(mean.gram - gram)) / (4 * self.channels**2)
        of_means = tf.reduce_sum(tf.square(mean.mean - means))
        of_deviations = tf.reduce_sum(tf.square(_deviation(mean, floor) - deviations))
        return of_gram + 2.5 * self.channels * (of_means + of_deviations)

    def dvalue(self, mean: Moments, target: tuple, weight: float, positions: tf.Tensor) -> Moments:
        """Derivative of weight * cost with respect to ``sums``."""
        gram, means, deviations, floor = target
        deviation = _deviation(mean, floor)
        # s^2 = G_cc - m^2
        dvariance = 2.5 * self.channels * (deviation - deviations) / deviation
        dgram = (mean.gram - gram) / (2 * self.channels**2) + tf.linalg.diag(dvariance)
        dmean = 5 * self.channels * (mean.mean - means) - 2 * dvariance * mean.mean
        return Moments(weight * dgram / positions, weight * dmean / positions)


def _deviation(mean: Moments, floor: tf.Tensor) -> tf.Tensor:
    """Standard deviation of each channel, (C,)."""
    variance = tf.linalg.diag_part(mean.gram) - tf.square(mean.mean)
    return tf.sqrt(tf.maximum(variance, 0) + floor)


@dataclass(frozen=True)
class WassersteinCost(_CostOfMoments):
    """|m - m*|^2 + tr(S + S* - 2 (S*^1/2 S S*^1/2)^1/2).

    The squared 2-Wasserstein distance of two Gaussians (Olkin and Pukelsheim 1982), as a style cost
    Vacher, Davila, Kohn and Coen-Cagli 2020 (arXiv:2006.08772). The sum over channels, not their
    mean, gives conv4_1 its weight: with the mean strokes stay small, and conv1_1 leaves dots.
    """

    def sums(self, F: tf.Tensor, P: None = None, guide: tf.Tensor | None = None) -> Moments:
        """Gram matrix and totals: exact, as a covariance is a difference of such matrices."""
        return Moments(channel_products(F, guide, exact=True), channel_totals(F, guide))

    def target(self, mean: Moments) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """m*, S*^1/2, tr S*, and what is added to variances, float64."""
        covariance = _covariance(mean)
        # Of the Gram matrix: a covariance near 0 is all rounding, whose trace may be negative.
        energy = tf.cast(tf.reduce_mean(tf.linalg.diag_part(mean.gram)), tf.float64)
        floor = FLOOR * energy + 1e-12
        values, vectors = tf.linalg.eigh(covariance)
        values = tf.maximum(values, 0) + floor
        root = _with_eigenvalues(vectors, tf.sqrt(values))
        return tf.cast(mean.mean, tf.float64), root, tf.reduce_sum(values), floor

    def value(self, mean: Moments, target: tuple) -> tf.Tensor:
        """The cost, a scalar."""
        means, _, trace, _ = target
        covariance, values, _ = self._spectrum(mean, target)
        of_covariances = tf.linalg.trace(covariance) + trace - 2 * tf.reduce_sum(tf.sqrt(values))
        of_means = tf.reduce_sum(tf.square(tf.cast(mean.mean, tf.float64) - means))
        distance = tf.maximum(of_means + of_covariances, 0)  # but for rounding it is so
        return tf.cast(distance, tf.float32)

    def dvalue(self, mean: Moments, target: tuple, weight: float, positions: tf.Tensor) -> Moments:
        """Derivative of weight * cost with respect to ``sums``.

        With A = S*^1/2, dJ/dS = I - A (A S A)^-1/2 A, and S = G - m m^T.
        """
        means, root, *_ = target
        _, values, vectors = self._spectrum(mean, target)
        inverse = _with_eigenvalues(tf.matmul(root, vectors), tf.math.rsqrt(values))
        dgram = tf.eye(self.channels, dtype=tf.float64) - inverse
        m = tf.cast(mean.mean, tf.float64)
        dmean = 2 * (m - means) - 2 * tf.linalg.matvec(dgram, m)
        scale = weight / tf.cast(positions, tf.float64)
        return Moments(tf.cast(scale * dgram, tf.float32), tf.cast(scale * dmean, tf.float32))

    def _spectrum(self, mean: Moments, target: tuple) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """S, and eigenvalues (C,) and eigenvectors (C, C) of A S A."""
        _, root, _, floor = target
        covariance = _covariance(mean) + floor * tf.eye(self.channels, dtype=tf.float64)
        values, vectors = tf.linalg.eigh(tf.matmul(root, tf.matmul(covariance, root)))
        return covariance, tf.maximum(values, tf.square(floor)), vectors


def _covariance(mean: Moments) -> tf.Tensor:
    """(C, C) float64: the eigenvalues of a product of two span the square of their range."""
    gram, mean = tf.cast(mean.gram, tf.float64), tf.cast(mean.mean, tf.float64)
    return gram - tf.tensordot(mean, mean, axes=0)


def _with_eigenvalues(vectors: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """vectors diag(values) vectors^T."""
    return tf.matmul(vectors * values, vectors, transpose_b=True)
