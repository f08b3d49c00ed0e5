"""Style costs that compare the means and covariances of the channels.

Each is a cost of one layer (``nst.engine.cost_protocols.MeanCost``). Its sums are the Gram matrix
and the totals of the channels; means and covariances follow from them. G, m and S are of the image,
G*, m* and S* of the style.
"""

from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from nst.engine.products import channel_products, channel_totals, products_gradient

# Added to variances, as a share of the mean square: the root of a variance of 0 has no slope.
SMALLEST = 1e-6
# The same for covariances: the rounding of sums in float32 is about as large.
FLOOR = 1e-5


Spectrum = tuple[tf.Tensor, tf.Tensor, tf.Tensor]


class Moments(NamedTuple):
    """Gram matrix (C, C) and totals of the channels (C,), float32; or both per position."""

    gram: tf.Tensor
    mean: tf.Tensor


@dataclass(frozen=True)
class _CostOfMoments:
    """A cost of the Gram matrix and the means of a layer."""

    channels: int
    compares_positions = False

    def gradient(
        self, F: tf.Tensor, P: None, dsums: Moments, guide: tf.Tensor | None = None
    ) -> tf.Tensor:
        """dJ/dF, (1, h, w, C)."""
        return products_gradient(F, dsums.gram, dsums.mean, guide)


@dataclass(frozen=True)
class MomentsCost(_CostOfMoments):
    """1/(4 C^2) sum (G - G*)^2 + 5/2 C (sum (m - m*)^2 + sum (s - s*)^2).

    G is the Gram matrix, s the standard deviation of each channel. Galerne, Raad, Lezama and Morel,
    Scaling Painting Style Transfer, 2024 (arXiv:2212.13459), section 3.2: with 250/C^2 as the
    weight of a layer, the balance of its parts and of the content is the paper's.
    """

    @property
    def gram_scale(self) -> float:
        """1/(4 C^2)."""
        return 1 / (4 * self.channels**2)

    @property
    def moment_scale(self) -> float:
        """5/2 C."""
        return 2.5 * self.channels

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
        gram_part = tf.reduce_sum(tf.square(mean.gram - gram))
        mean_part = tf.reduce_sum(tf.square(mean.mean - means))
        deviation_part = tf.reduce_sum(tf.square(_deviation(mean, floor) - deviations))
        return self.gram_scale * gram_part + self.moment_scale * (mean_part + deviation_part)

    def value_and_dvalue(
        self, mean: Moments, target: tuple, weight: float, positions: tf.Tensor
    ) -> tuple[tf.Tensor, Moments]:
        """Both."""
        return self.value(mean, target), self.dvalue(mean, target, weight, positions)

    def dvalue(self, mean: Moments, target: tuple, weight: float, positions: tf.Tensor) -> Moments:
        """Derivative of weight * cost with respect to ``sums``."""
        gram, means, deviations, floor = target
        deviation = _deviation(mean, floor)
        # s^2 = G_cc - m^2
        dvariance = self.moment_scale * (deviation - deviations) / deviation
        dgram = 2 * self.gram_scale * (mean.gram - gram) + tf.linalg.diag(dvariance)
        dmean = 2 * self.moment_scale * (mean.mean - means) - 2 * dvariance * mean.mean
        return Moments(weight * dgram / positions, weight * dmean / positions)


def _deviation(mean: Moments, floor: tf.Tensor) -> tf.Tensor:
    """Standard deviation of each channel, (C,)."""
    variance = tf.linalg.diag_part(mean.gram) - tf.square(mean.mean)
    return tf.sqrt(tf.maximum(variance, 0) + floor)


@dataclass(frozen=True)
class WassersteinCost(_CostOfMoments):
    """|m - m*|^2 + tr(S + S* - 2 (S*^1/2 S S*^1/2)^1/2).

    The squared 2-Wasserstein distance of two Gaussians (Olkin and Pukelsheim 1982); Vacher, Davila,
    Kohn and Coen-Cagli 2020 (arXiv:2006.08772) use it as a style cost. It is the sum over channels,
    which gives conv4_1 its weight: with the mean, strokes stay small and conv1_1 leaves dots.
    """

    def sums(self, F: tf.Tensor, P: None = None, guide: tf.Tensor | None = None) -> Moments:
        """Gram matrix and totals, in full float32: covariances are differences of them."""
        return Moments(channel_products(F, guide, exact=True), channel_totals(F, guide))

    def target(self, mean: Moments) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """m*, S*^1/2, tr S*, and what is added to variances, float64."""
        covariance = _covariance(mean)
        # From the Gram matrix, as the trace of a covariance near 0 may be negative by rounding.
        energy = tf.cast(tf.reduce_mean(tf.linalg.diag_part(mean.gram)), tf.float64)
        floor = FLOOR * energy + 1e-12
        values, vectors = tf.linalg.eigh(covariance)
        values = tf.maximum(values, 0) + floor
        root = _with_eigenvalues(vectors, tf.sqrt(values))
        return tf.cast(mean.mean, tf.float64), root, tf.reduce_sum(values), floor

    def value(self, mean: Moments, target: tuple) -> tf.Tensor:
        """The cost, a scalar."""
        return self._value(mean, target, self._spectrum(mean, target))

    def dvalue(self, mean: Moments, target: tuple, weight: float, positions: tf.Tensor) -> Moments:
        """Derivative of weight * cost with respect to ``sums``."""
        return self._dvalue(mean, target, weight, positions, self._spectrum(mean, target))

    def value_and_dvalue(
        self, mean: Moments, target: tuple, weight: float, positions: tf.Tensor
    ) -> tuple[tf.Tensor, Moments]:
        """Both, of one spectrum, which takes the time."""
        spectrum = self._spectrum(mean, target)
        value = self._value(mean, target, spectrum)
        return value, self._dvalue(mean, target, weight, positions, spectrum)

    def _value(self, mean: Moments, target: tuple, spectrum: Spectrum) -> tf.Tensor:
        means, _, trace, _ = target
        covariance, values, _ = spectrum
        roots = tf.reduce_sum(tf.sqrt(values))
        covariance_part = tf.linalg.trace(covariance) + trace - 2 * roots
        mean_part = tf.reduce_sum(tf.square(tf.cast(mean.mean, tf.float64) - means))
        distance = tf.maximum(mean_part + covariance_part, 0)  # rounding may leave it below 0
        return tf.cast(distance, tf.float32)

    def _dvalue(
        self,
        mean: Moments,
        target: tuple,
        weight: float,
        positions: tf.Tensor,
        spectrum: Spectrum,
    ) -> Moments:
        """With A = S*^1/2, dJ/dS = I - A (A S A)^-1/2 A, and S = G - m m^T."""
        means, root, *_ = target
        _, values, vectors = spectrum
        inverse = _with_eigenvalues(tf.matmul(root, vectors), tf.math.rsqrt(values))
        dgram = tf.eye(self.channels, dtype=tf.float64) - inverse
        m = tf.cast(mean.mean, tf.float64)
        dmean = 2 * (m - means) - 2 * tf.linalg.matvec(dgram, m)
        scale = weight / tf.cast(positions, tf.float64)
        return Moments(tf.cast(scale * dgram, tf.float32), tf.cast(scale * dmean, tf.float32))

    def _spectrum(self, mean: Moments, target: tuple) -> Spectrum:
        """S, and eigenvalues (C,) and eigenvectors (C, C) of A S A."""
        _, root, _, floor = target
        covariance = _covariance(mean) + floor * tf.eye(self.channels, dtype=tf.float64)
        values, vectors = tf.linalg.eigh(tf.matmul(root, tf.matmul(covariance, root)))
        return covariance, tf.maximum(values, tf.square(floor)), vectors


def _covariance(mean: Moments) -> tf.Tensor:
    """S = G - m m^T, (C, C) float64.

    The eigenvalues of a product of two such matrices span the square of their range.
    """
    gram, mean = tf.cast(mean.gram, tf.float64), tf.cast(mean.mean, tf.float64)
    return gram - tf.tensordot(mean, mean, axes=0)


def _with_eigenvalues(vectors: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """vectors diag(values) vectors^T."""
    return tf.matmul(vectors * values, vectors, transpose_b=True)
