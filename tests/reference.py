"""J by NumPy and SciPy alone, in float64: the network to conv3_1, its borders, and the costs."""

import math

import numpy as np
import pytest
from scipy.linalg import sqrtm

from nst.api import build_objective

BLOCKS = [["conv1_1", "conv1_2"], ["conv2_1", "conv2_2"], ["conv3_1"]]
CELLS = {"conv1": 1, "conv2": 2, "conv3": 4}  # pixels along a cell, by block
BEYOND = 24  # pixels of the mirror image, of which conv3_1 sees 10


def convolve(x, kernel, bias):
    """A 3 x 3 convolution with zero padding and a ReLU."""
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    height, width = x.shape[:2]
    total = np.zeros((height, width, kernel.shape[3])) + bias
    for row in range(3):
        for column in range(3):
            total += padded[row : row + height, column : column + width] @ kernel[row, column]
    return np.maximum(total, 0)


def pool(x, how):
    """A 2 x 2 pool, rounding up; the last odd row or column is pooled alone."""
    rows = []
    for top in range(0, x.shape[0], 2):
        rows.append(
            [
                how(x[top : top + 2, left : left + 2], axis=(0, 1))
                for left in range(0, x.shape[1], 2)
            ]
        )
    return np.array(rows)


def mirrored(picture, width=BEYOND):
    """A picture and its mirror image around it, whose edge is the first or last pixel."""
    for axis in (0, 1):
        side = picture.shape[axis]
        period = max(1, 2 * side - 2)
        places = np.arange(-width, side + width) % period
        picture = np.take(picture, np.minimum(places, period - places), axis)
    return picture


def inside(activation, layer, size, width=BEYOND):
    """The part (h, w, C) of an activation of a mirrored picture that is the picture's."""
    cells = CELLS[layer[:5]]
    first = width // cells
    return activation[tuple(slice(first, first + math.ceil(side / cells)) for side in size)]


def activations_in_float64(network, picture, how=np.mean, padding="zeros"):
    """The activations of the layers of BLOCKS, (h, w, C)."""
    size = picture.shape[:2]
    x = picture.astype(np.float64)
    x = (mirrored(x) if padding == "reflect" else x) - network.mean
    activations = {}
    for block, layers in enumerate(BLOCKS):
        if block:
            x = pool(x, how)
        for layer in layers:
            x = activations[layer] = convolve(x, *network.layers[layer])
    if padding == "reflect":
        return {layer: inside(x, layer, size) for layer, x in activations.items()}
    return activations


def content_in_float64(features, content):
    """J_content of a layer."""
    return np.sum((features - content) ** 2) / (4 * features.size)


def statistics(features, weights=None):
    """Gram matrix per position, mean and covariance of (n, C), each position with its weight."""
    weights = np.ones(len(features)) if weights is None else weights
    share = (weights / weights.sum())[:, np.newaxis]
    mean = np.sum(share * features, axis=0)
    centred = features - mean
    return features.T @ (share * features), mean, centred.T @ (share * centred)


def gram_in_float64(image, style):
    """J_style of a layer; the arguments are ``statistics``."""
    return np.sum((image[0] - style[0]) ** 2) / (4 * len(image[0]) ** 2)


def moments_in_float64(image, style):
    """Likewise, with means and standard deviations."""
    depth = len(style[0])
    floor = 1e-6 * np.trace(style[0]) / depth
    deviations = [np.sqrt(np.diag(covariance) + floor) for *_, covariance in (image, style)]
    squares = np.sum((image[1] - style[1]) ** 2) + np.sum((deviations[0] - deviations[1]) ** 2)
    return gram_in_float64(image, style) + 2.5 * depth * squares


def wasserstein_in_float64(image, style):
    """Likewise, of the Gaussians with these means and covariances."""
    depth = len(style[0])
    floor = 1e-5 * np.trace(style[0]) / depth * np.eye(depth)
    one, other = image[2] + floor, style[2] + floor
    root = sqrtm(other)
    spread = np.trace(one + other - 2 * np.real(sqrtm(root @ one @ root)))
    return np.sum((image[1] - style[1]) ** 2) + spread


STYLE_COSTS = {
    "gram": gram_in_float64,
    "moments": moments_in_float64,
    "wasserstein": wasserstein_in_float64,
}


def style_in_float64(loss, features, style, guide=None, style_weights=None):
    """J_style of a layer of an activation against a style's, (h, w, C) each, or (n, C)."""
    flat, target = (x.reshape(-1, x.shape[-1]) for x in (features, style))
    weights = None if guide is None else guide.reshape(-1).astype(np.float64)
    return STYLE_COSTS[loss](statistics(flat, weights), statistics(target, style_weights))


def cost_in_float64(network, image, content, style, options, how):
    """J of an image: layers of BLOCKS."""
    of_image, of_content, of_style = (
        activations_in_float64(network, picture, how, options.padding)
        for picture in (image, content, style)
    )
    total = 0.0
    for layer, weight in options.content_layers:
        part = content_in_float64(of_image[layer], of_content[layer])
        total += options.alpha * weight * part
    for layer, weight in options.style_layers:
        part = style_in_float64(options.style_loss, of_image[layer], of_style[layer])
        total += options.beta * weight * part
    return total


def assert_cost_and_gradient(network, content, style, options, how=np.mean, exact=1e-5):
    """Check J and its gradient near a content against NumPy, layers to conv3_1."""
    random = np.random.default_rng(0)
    image = np.clip(content + random.normal(scale=20, size=content.shape), 0, 255)
    image = image.astype(np.float32)
    costs, gradient = build_objective(content, style, network, options)(image)

    def cost(picture):
        return cost_in_float64(network, picture, content, style, options, how)

    assert costs.total == pytest.approx(cost(image), rel=exact)
    image, gradient = image.astype(np.float64), gradient.astype(np.float64)
    norm = np.linalg.norm(gradient)
    for direction in (gradient / norm, random.normal(size=image.shape)):
        step = 1e-4 / np.abs(direction).max()
        slope = (cost(image + step * direction) - cost(image - step * direction)) / (2 * step)
        tolerance = exact * norm * np.linalg.norm(direction)
        assert np.sum(gradient * direction) == pytest.approx(slope, abs=tolerance)
