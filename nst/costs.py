"""The costs of neural style transfer, and their slopes with respect to the activations.

[1] Gatys, Ecker and Bethge, A Neural Algorithm of Artistic Style, 2015 (arXiv:1508.06576).
[2] Gatys et al., Controlling Perceptual Factors in Neural Style Transfer, CVPR 2017.

Sums over positions are kept apart from what is made of them, so that a picture can be measured in
parts: the sums of the parts are the sum of the whole.
"""

import numpy as np
import tensorflow as tf

from nst.blocks import row_blocks

BLOCK = 1024  # positions of a bfloat16 layer that are multiplied at a time
FEWEST_BLOCKS = 8  # fewer are too few to average the rounding of their products


def squared_distance(target: tf.Tensor, generated: tf.Tensor) -> tf.Tensor:
    """Sum of squared differences of two activations of one layer, (1, H, W, C); float32 scalar.

    J_content = squared_distance / (4 H W C) ([1], equation 1, but for the constant).
    """
    difference = tf.cast(generated, tf.float32) - tf.cast(target, tf.float32)
    return tf.reduce_sum(tf.square(difference))


def content_slope(target: tf.Tensor, generated: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Slope of ``factor * squared_distance`` by ``generated``, (1, H, W, C) float32."""
    return 2 * factor * (tf.cast(generated, tf.float32) - tf.cast(target, tf.float32))


def gram_matrix(activation: tf.Tensor, guide: tf.Tensor | None = None) -> tf.Tensor:
    """Correlations of the channels of a layer, G = F^T F ([1], equation 3).

    activation: (1, H, W, C), any float type.
    guide: (H, W, 1), 0..1: how much each position counts, a guided Gram matrix F^T diag(guide) F
        ([2], equation 5, where the guidance channel is the square root of the guide).
    Returns (C, C) float32, not divided by H W or by the sum of the guide.
    """
    channels = activation.shape[-1]
    features = tf.reshape(activation, (-1, channels))  # (H W, C)
    if features.dtype == tf.float16:
        features = tf.cast(features, tf.float32)
    guided = features
    if guide is not None:
        guided = features * tf.cast(tf.reshape(guide, (-1, 1)), features.dtype)
    if features.dtype != tf.bfloat16:
        return tf.matmul(features, guided, transpose_a=True)
    # Products of many bfloat16 blocks, summed in float32: entries are off by some 1e-4 of their
    # size, far less than by the bfloat16 of the activations, at half the time of casting first.
    blocks = tf.shape(features)[0] // BLOCK
    blocks *= tf.cast(blocks >= FEWEST_BLOCKS, tf.int32)
    shape = (blocks, BLOCK, channels)
    ends, blocked = (
        blocks * BLOCK,
        [tf.reshape(x[: blocks * BLOCK], shape) for x in (features, guided)],
    )
    products = tf.matmul(*blocked, transpose_a=True)  # (blocks, C, C)
    rest, guided_rest = (tf.cast(x[ends:], tf.float32) for x in (features, guided))
    gram = tf.matmul(rest, guided_rest, transpose_a=True)  # (C, C)
    return gram + tf.reduce_sum(tf.cast(products, tf.float32), axis=0)


def style_layer_cost(target: tf.Tensor, generated: tf.Tensor) -> tf.Tensor:
    """Distance of two Gram matrices per position, each (C, C) float32; float32 scalar.

    J_style^l = 1 / (4 C^2 (H W)^2) * sum (G_S - G_G)^2 ([1], equation 4), where each Gram matrix is
    divided by the H W of its own picture, or by the sum of its guide.
    """
    channels = target.shape[0]
    return tf.reduce_sum(tf.square(generated - target)) / (4.0 * channels**2)


def gram_slope(target: tf.Tensor, generated: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    """Slope of ``style_layer_cost`` with respect to the Gram matrix, (C, C) float32, symmetric.

    target, generated: Gram matrices per position; positions: what the generated picture's was
    divided by.
    """
    channels = target.shape[0]
    return (generated - target) / (2.0 * channels**2 * positions)


def style_slope(
    activation: tf.Tensor, slope: tf.Tensor, guide: tf.Tensor | None = None
) -> tf.Tensor:
    """Slope of the style cost with respect to a layer: dJ/dF = 2 F R with R = dJ/dG ([1], eq. 6).

    activation: (1, H, W, C). slope: R, (C, C) float32. guide: of the Gram matrix, (H, W, 1). The
    product is taken in the type of the activation, as nothing is summed over positions, but for
    float16, whose range is too small.
    """
    features = tf.reshape(activation, (-1, activation.shape[-1]))
    if features.dtype == tf.float16:
        features = tf.cast(features, tf.float32)
    product = tf.matmul(features, tf.cast(2 * slope, features.dtype))
    if guide is not None:
        product *= tf.cast(tf.reshape(guide, (-1, 1)), product.dtype)
    return tf.reshape(product, tf.shape(activation))


def total_variation(image: np.ndarray, weight: float, gradient: np.ndarray) -> float:
    """Return the total variation cost; add ``weight`` times its slope to ``gradient``, in place.

    The mean over pixels of the absolute differences to the pixels right and below (anisotropic
    total variation, Rudin, Osher and Fatemi 1992). image, gradient: (H, W, 3) float32, 0..255.
    """
    pixels = image.shape[0] * image.shape[1]
    total = 0.0
    for block in row_blocks(image):
        rows = image[block.start : block.stop + 1]
        inside = block.stop - block.start
        for axis, part in ((0, rows), (1, rows[:inside])):
            difference = np.diff(part, axis=axis)
            total += float(np.abs(difference).sum(dtype=np.float64))
            if weight:
                slope = np.sign(difference) * np.float32(weight / pixels)
                here = gradient[block.start : block.start + part.shape[0]]
                before, after = (here[:-1], here[1:]) if axis == 0 else (here[:, :-1], here[:, 1:])
                before -= slope
                after += slope
    return total / pixels
