"""What L-BFGS knows of the curvature of J: pairs of changes, and their products.

H, the inverse of the Hessian, in the compact form of Byrd, Nocedal and Schnabel 1994
(Representations of quasi-Newton matrices, equation 3.1), which reads each pair twice a step:

    H = g I + [S  g Y] [[R^-T (D + g Y^T Y) R^-1, -R^-T], [-R^-1, 0]] [S  g Y]^T

S and Y are the changes of the image and of the gradient, R the upper triangle of S^T Y, D its
diagonal, g the newest s^T y / y^T y.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf
else:
    from nst.engine.lazy_tensorflow import tf

LEAST_CURVATURE = 1e-6  # smallest cosine between the two arrays of a pair that is kept
# A state is saved while the next step is made, whose pair must not be written over one of it.
SPARE = 1
SUMMED = 1 << 16  # values whose products are summed in float32
GATHERED = 1 << 18  # fixed pixels whose part in the products is measured at once
COMBINED = 1 << 18  # values of a direction that are computed at once

Pair = tuple[np.ndarray, np.ndarray]


class OverwrittenError(Exception):
    """A pair of a state was written over by later steps."""


def pair_bytes(memory: int, size: tuple[int, int]) -> float:
    """Bytes of ``memory`` pairs of images of ``size``, (height, width)."""
    return 2 * (memory + SPARE) * 4 * 3 * math.prod(size)


class Products(NamedTuple):
    """Products of the pairs over pixels, float64, by slot.

    moved_change: (slots, slots), s_i^T y_j where pair j is no older than i. changes: (slots,
    slots), y_i^T y_j. moved: (slots,), s_i^T s_i.
    """

    moved_change: tf.Tensor
    changes: tf.Tensor
    moved: tf.Tensor


class Curvature(NamedTuple):
    """Pairs, and their products over all pixels.

    kept: how many pairs count, int32. remembered: pairs ever added, int64: the newest has this
    number; number n is in slot n - 1 modulo the number of slots. moved, change: (slots, values of
    an image) float32, written in place: see SPARE. Slots that were never written are not read.
    """

    kept: tf.Tensor
    remembered: tf.Tensor
    moved: tf.Tensor
    change: tf.Tensor
    products: Products

    @classmethod
    def empty(cls, memory: int, values: int | tf.Tensor) -> Curvature:
        """No pairs, with room for ``memory`` of images with so many values."""
        slots = memory + SPARE
        square = tf.zeros((slots, slots), tf.float64)
        return cls(
            tf.constant(0),
            tf.constant(0, tf.int64),
            # Memory that is not written is not taken.
            tf.raw_ops.Empty(shape=(slots, values), dtype=tf.float32),
            tf.raw_ops.Empty(shape=(slots, values), dtype=tf.float32),
            Products(square, square, tf.zeros((slots,), tf.float64)),
        )

    @classmethod
    def load(
        cls,
        memory: int,
        values: int | tf.Tensor,
        pairs: Sequence[Pair],
        remembered: int,
        products: np.ndarray | None,
    ) -> Curvature:
        """Pairs that were saved, the oldest first; products: of ``saved_products``, if saved.

        If there are more than ``memory``, as earlier versions kept of large pictures, the newest
        are loaded.
        """
        slots = memory + SPARE
        skipped = max(0, len(pairs) - memory)
        if products is not None and products.shape[1] != slots:
            products = None
        curvature = cls.empty(memory, values)
        first = remembered - len(pairs) + skipped
        curvature = curvature._replace(remembered=tf.constant(first, tf.int64))
        if first:  # slots before these count as written
            zeros = [tf.zeros_like(part) for part in (curvature.moved, curvature.change)]
            curvature = curvature._replace(moved=zeros[0], change=zeros[1])
        for number in range(skipped, len(pairs)):
            moved, change = map(tf.constant, pairs[number])
            slot = curvature._slot(curvature.remembered + 1)
            curvature = curvature._replace(
                moved=_put(curvature.moved, slot, moved),
                change=_put(curvature.change, slot, change),
            )
            if products is None:
                row = tf.reshape(change, (1, -1))
                line = tf.reshape(moved, (1, -1))
                curvature = curvature._measure(*curvature._along(row), line)
            curvature = curvature._replace(remembered=curvature.remembered + 1)
        curvature = curvature._replace(kept=tf.constant(len(pairs) - skipped))
        if products is None:
            return curvature
        parts = products[:slots], products[slots:-1], products[-1]
        return curvature._replace(products=Products(*map(tf.constant, parts)))

    def check(self) -> None:
        """Raise OverwrittenError if later steps have written over a pair."""
        for number in range(int(self.remembered) - int(self.kept) + 1, int(self.remembered) + 1):
            self.pair(number)

    def pair(self, number: int) -> tuple[tf.Tensor, tf.Tensor]:
        """The pair of a number, (values,) each; raises OverwrittenError."""
        slot = (number - 1) % len(self.moved)
        moved, change = self.moved[slot], self.change[slot]
        row = moved[tf.newaxis]
        square = float(_products(row, row)[0, 0])
        if not math.isclose(square, float(self.products.moved[slot]), rel_tol=1e-6):
            raise OverwrittenError("a state of L-BFGS is good until two more steps were made")
        return moved, change

    def saved_products(self) -> np.ndarray:
        """The products as one array, (2 slots + 1, slots) float64."""
        return np.vstack([part.numpy() for part in self.products])

    @property
    def _slots(self) -> tf.Tensor:
        return tf.shape(self.moved)[0]

    def add(
        self,
        images: tuple[tf.Tensor, tf.Tensor],
        gradients: tuple[tf.Tensor, tf.Tensor],
        free: tf.Tensor,
    ) -> tuple[Curvature, tf.Tensor, tf.Tensor]:
        """Add the pair of two images and their gradients, the newer first, and find a direction.

        Returns the new pairs, -H times the newer gradient among the values that are ``free`` (bool,
        of the shape of an image) and 0 elsewhere, and whether there is any curvature among them; if
        not, H is 1. A pair that does not curve upwards by more than rounding is not kept, and not
        used where it does not so among the free values.

        Of the size of an image, no more than the direction and one difference are in memory at a
        time: at 12 megapixels each takes 144 MB.
        """
        (image, earlier), (gradient, before) = images, gradients
        slot = self._slot(self.remembered + 1)
        moved = _put(self.moved, slot, image - earlier)
        with tf.control_dependencies([moved]):
            change = _put(self.change, slot, gradient - before)
        curvature = self._replace(moved=moved, change=change)
        row, is_free = tf.reshape(gradient, (1, -1)), tf.reshape(free, (1, -1))
        written = curvature._written()  # before the number of the newest changes
        along_gradient = curvature._along(row, is_free)
        # The rows that were written, rather than what was: its memory is free by now.
        newest = curvature.moved[slot : slot + 1]
        curvature = curvature._measure(*curvature._along(curvature.change[slot : slot + 1]), newest)
        products = curvature.products
        grows = _is_curved(
            products.moved_change[slot, slot], products.moved[slot], products.changes[slot, slot]
        )
        curvature = curvature._replace(
            remembered=self.remembered + tf.cast(grows, tf.int64),
            kept=tf.minimum(self.kept + tf.cast(grows, tf.int32), self._slots - SPARE),
        )
        of_moved, of_change, scale, any_curved = curvature._coefficients(
            *along_gradient, is_free[0]
        )
        direction = _combine(written, (of_moved, of_change), scale, row, is_free)
        return curvature, tf.reshape(direction, tf.shape(gradient)), any_curved

    def _slot(self, number: tf.Tensor) -> tf.Tensor:
        return tf.cast((number - 1) % tf.cast(self._slots, tf.int64), tf.int32)

    def _written(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Changes of the image and of the gradient in the slots that were ever written.

        The one after the newest pair is among them, which is written before it has a number.
        """
        count = tf.minimum(tf.cast(self.remembered, tf.int32) + 1, self._slots)
        return self.moved[:count], self.change[:count]

    def _along(
        self, row: tf.Tensor, is_free: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Products over pixels of (1, values) with all pairs, (slots,) float64 each.

        is_free: (1, values) bool, those that count; None for all.
        """
        products = [_products(row, pairs, is_free)[0] for pairs in self._written()]
        missing = self._slots - tf.size(products[0])
        along_moved, along_change = (tf.pad(product, [[0, missing]]) for product in products)
        return along_moved, along_change

    def _measure(
        self, along_moved: tf.Tensor, along_change: tf.Tensor, moved: tf.Tensor
    ) -> Curvature:
        """Take the products of the change that was written last, (slots,), with all of them.

        moved: (1, values), that belongs to it.
        """
        slot = self._slot(self.remembered + 1)
        here = tf.one_hot(slot, self._slots, dtype=tf.float64) > 0  # (slots,)
        row, column = here[:, tf.newaxis], here[tf.newaxis]
        moved_change, changes, squares = self.products
        square = _products(moved, moved)[0, 0]
        products = Products(
            tf.where(column, along_moved[:, tf.newaxis], moved_change),
            tf.where(row, along_change, tf.where(column, along_change[:, tf.newaxis], changes)),
            tf.where(here, square, squares),
        )
        return self._replace(products=products)

    def _coefficients(
        self, along_moved: tf.Tensor, along_change: tf.Tensor, free: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """What S and Y are multiplied with, (1, slots) float32 each, g, and if any pair is used.

        along_moved, along_change: S^T and Y^T times the gradient, (slots,) float64.
        """
        products = self._among(free)
        memory = self._slots - SPARE
        numbers = self.remembered - tf.cast(memory - 1, tf.int64)
        numbers += tf.range(tf.cast(memory, tf.int64))  # the oldest first
        slots = self._slot(numbers)
        moved_change, changes = (
            tf.gather(tf.gather(part, slots), slots, axis=1)
            for part in (products.moved_change, products.changes)
        )
        moved = tf.gather(products.moved, slots)
        diagonal = tf.linalg.diag_part(moved_change)
        used = _is_curved(diagonal, moved, tf.linalg.diag_part(changes))
        used &= tf.range(memory) >= memory - self.kept
        both = used[:, tf.newaxis] & used
        upper = tf.linalg.band_part(tf.where(both, moved_change, 0.0), 0, -1)
        triangle = tf.linalg.set_diag(upper, tf.where(used, diagonal, 1.0))  # R
        newest = tf.reduce_max(tf.where(used, tf.range(memory), 0))
        any_used = tf.reduce_any(used)
        scale = tf.where(any_used, diagonal[newest] / changes[newest, newest], 1.0)
        p, q = (
            tf.where(used, tf.gather(part, slots), 0.0)[:, tf.newaxis]
            for part in (along_moved, along_change)
        )
        u = tf.linalg.triangular_solve(triangle, p, lower=False)  # R^-1 S^T times the gradient
        inner = tf.linalg.matmul(tf.where(both, changes, 0.0), u) - q
        inner = tf.where(used, diagonal, 0.0)[:, tf.newaxis] * u + scale * inner
        top = tf.linalg.triangular_solve(triangle, inner, lower=False, adjoint=True)

        def by_slot(column: tf.Tensor) -> tf.Tensor:
            values = tf.where(used[:, tf.newaxis], column, 0.0)
            scattered = tf.scatter_nd(slots[:, tf.newaxis], values, [self._slots, 1])
            return tf.cast(tf.transpose(scattered), tf.float32)

        return by_slot(top), by_slot(-scale * u), scale, any_used

    def _among(self, free: tf.Tensor) -> Products:
        """Products over the free pixels: those over all, less those over the others, the fewer."""
        fixed = tf.where(~free)[:, 0]
        count = tf.shape(fixed)[0]

        def subtract(start: tf.Tensor, products: Products) -> tuple[tf.Tensor, Products]:
            part = fixed[start : start + GATHERED]
            moved = tf.cast(tf.gather(self.moved, part, axis=1), tf.float64)
            change = tf.cast(tf.gather(self.change, part, axis=1), tf.float64)
            return start + GATHERED, Products(
                products.moved_change - tf.matmul(moved, change, transpose_b=True),
                products.changes - tf.matmul(change, change, transpose_b=True),
                products.moved - tf.reduce_sum(tf.square(moved), axis=1),
            )

        _, products = tf.while_loop(
            lambda start, _: start < count,
            subtract,
            (tf.constant(0), self.products),
            parallel_iterations=1,
        )
        return products


class SavedPairs(Sequence):
    """The pairs of a state as arrays of the shape of the image, the oldest first.

    Each is copied to the host when it is asked for.
    """

    def __init__(self, curvature: Curvature, shape: tuple[int, ...]) -> None:
        self._curvature, self._shape = curvature, shape
        self._count, self._newest = int(curvature.kept), int(curvature.remembered)

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Pair: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Pair, ...]: ...
    def __getitem__(self, index: int | slice) -> Any:
        """Raises OverwrittenError."""
        if isinstance(index, slice):
            return tuple(self[number] for number in range(len(self))[index])
        number = self._newest - self._count + 1 + range(self._count)[index]
        moved, change = self._curvature.pair(number)
        return moved.numpy().reshape(self._shape), change.numpy().reshape(self._shape)

    def __reduce__(self) -> tuple:
        return tuple, (list(self),)


def _products(vectors: tf.Tensor, pairs: tf.Tensor, is_free: tf.Tensor | None = None) -> tf.Tensor:
    """Products over pixels of (n, values) and (slots, values): (n, slots) float64.

    is_free: (n, values) bool, those that count; None for all. Sums of float32 over all the values
    would be off by 1 % at 12 megapixels.
    """
    values, count = tf.shape(vectors)[1], (tf.shape(vectors)[0], tf.shape(pairs)[0])

    def add(start: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        part = slice(start, start + SUMMED)
        block = vectors[:, part]
        if is_free is not None:
            block = tf.where(is_free[:, part], block, 0.0)
        product = tf.matmul(block, pairs[:, part], transpose_b=True)
        return start + SUMMED, total + tf.cast(product, tf.float64)

    _, products = tf.while_loop(
        lambda start, _: start < values, add, (tf.constant(0), tf.zeros(count, tf.float64))
    )
    return products


def _combine(
    pairs: tuple[tf.Tensor, tf.Tensor],
    factors: tuple[tf.Tensor, tf.Tensor],
    scale: tf.Tensor,
    gradient: tf.Tensor,
    is_free: tf.Tensor,
) -> tf.Tensor:
    """-(scale gradient + factors[0] S + factors[1] Y) where it is free, 0 elsewhere, (values,).

    pairs: S and Y, (written slots, values) each. factors: (1, slots) float32 each. gradient,
    is_free: (1, values). By blocks, which are written in place.
    """
    count, values = tf.shape(pairs[0])[0], tf.shape(gradient)[1]
    scale = tf.cast(scale, tf.float32)

    def add(number: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        part = slice(number * COMBINED, (number + 1) * COMBINED)
        product = scale * gradient[:, part]
        for of_pairs, changes in zip(factors, pairs):
            product += tf.matmul(of_pairs[:, :count], changes[:, part])
        product = tf.where(is_free[:, part], -product, 0.0)
        product = tf.pad(product, [[0, 0], [0, COMBINED - tf.shape(product)[1]]])
        return number + 1, _put(rows, number, product)

    blocks = -(-values // COMBINED)
    rows = tf.raw_ops.Empty(shape=(blocks, COMBINED), dtype=tf.float32)
    _, rows = tf.while_loop(
        lambda number, _: number < blocks, add, (tf.constant(0), rows), parallel_iterations=1
    )
    return tf.reshape(rows, (-1,))[:values]


def _put(rows: tf.Tensor, number: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Write values to a row, in place: a copy of all pairs would take longer than a step."""
    values = tf.reshape(values, (1, -1))
    return tf.raw_ops.InplaceUpdate(x=rows, i=number[tf.newaxis], v=values)


def _is_curved(curvature: tf.Tensor, moved: tf.Tensor, change: tf.Tensor) -> tf.Tensor:
    """Whether pairs curve upwards by more than rounding."""
    return curvature > LEAST_CURVATURE * tf.sqrt(tf.maximum(moved * change, 0.0))
