"""Sums of an activation over its positions: products of its channels, and totals."""

import tensorflow as tf

# Positions of a bfloat16 activation that are multiplied at a time: the most of these of which there
# are FEWEST_BLOCKS. Fewer would not average the rounding of their products.
BLOCKS = (1024, 192)
FEWEST_BLOCKS = 8


def channel_products(
    F: tf.Tensor, guide: tf.Tensor | None = None, exact: bool = False
) -> tf.Tensor:
    """F^T diag(guide) F, (C, C) float32.

    F: (1, h, w, C), any float type. guide: (h, w, 1), 1 everywhere if None. exact: to the precision
    of float32, of a bfloat16 activation too; else as ``product``.
    """
    features = tf.reshape(F, (-1, F.shape[-1]))  # (h w, C)
    if features.dtype == tf.float16 or exact:  # the range of float16 is too small for sums
        features = tf.cast(features, tf.float32)
    return product(features, _guided(features, guide))  # (C, C)


def product(features: tf.Tensor, guided: tf.Tensor) -> tf.Tensor:
    """features^T guided, (C, C) float32, of two (h w, C) of one dtype, float32 or bfloat16.

    Of bfloat16 the entries are off by some 1e-4 of their size, far less than by the bfloat16 of the
    activations.
    """
    if features.dtype == tf.bfloat16:
        return _by_blocks(features, guided)
    return tf.matmul(features, guided, transpose_a=True)


def channel_totals(F: tf.Tensor, guide: tf.Tensor | None = None) -> tf.Tensor:
    """Sum of F over its positions, each times the guide, (C,) float32; arguments as above."""
    features = tf.cast(tf.reshape(F, (-1, F.shape[-1])), tf.float32)  # (h w, C)
    return tf.reduce_sum(_guided(features, guide), axis=0)


def _guided(features: tf.Tensor, guide: tf.Tensor | None) -> tf.Tensor:
    if guide is None:
        return features
    return features * tf.cast(tf.reshape(guide, (-1, 1)), features.dtype)


def _by_blocks(features: tf.Tensor, guided: tf.Tensor) -> tf.Tensor:
    """features^T guided of bfloat16, as products of blocks that are summed in float32.

    It takes half the time of casting first. The positions behind the last whole block are cast, and
    all of them if there are too few blocks.
    """
    depth = features.shape[-1]
    positions, (large, small) = tf.shape(features)[0], BLOCKS
    size = tf.where(positions // large >= FEWEST_BLOCKS, large, small)
    blocks = positions // size
    blocks *= tf.cast(blocks >= FEWEST_BLOCKS, tf.int32)  # too few: none
    parts = tf.stack([blocks * size, positions - blocks * size])

    def cut(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        in_blocks, rest = tf.split(values, parts, num=2)
        return tf.reshape(in_blocks, (blocks, size, depth)), tf.cast(rest, tf.float32)

    in_blocks, rest = cut(features)
    guided_blocks, guided_rest = (in_blocks, rest) if guided is features else cut(guided)
    products = tf.matmul(in_blocks, guided_blocks, transpose_a=True)  # (blocks, C, C)
    gram = tf.matmul(rest, guided_rest, transpose_a=True)  # (C, C)
    return gram + tf.reduce_sum(tf.cast(products, tf.float32), axis=0)


def products_gradient(
    F: tf.Tensor,
    dproducts: tf.Tensor,
    dtotals: tf.Tensor | None = None,
    guide: tf.Tensor | None = None,
) -> tf.Tensor:
    """guide (2 F dproducts + dtotals), (1, h, w, C): the gradient with respect to F.

    dproducts: (C, C), symmetric; dtotals: (C,): gradients with respect to the sums. Computed in the
    dtype of F, as nothing is summed over positions; in float32 for float16, whose range is too
    small.
    """
    features = tf.reshape(F, (-1, F.shape[-1]))  # (h w, C)
    if features.dtype == tf.float16:
        features = tf.cast(features, tf.float32)
    gradient = tf.matmul(features, tf.cast(2 * dproducts, features.dtype))  # (h w, C)
    if dtotals is not None:
        gradient += tf.cast(dtotals, gradient.dtype)
    return tf.reshape(_guided(gradient, guide), tf.shape(F))
