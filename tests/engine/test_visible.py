"""A content that is transparent in parts: what is hidden takes no part in the costs."""

import numpy as np
import pytest
import tensorflow as tf

from helpers import assert_gradient
from nst.api import build_objective
from nst.engine.colours import prepare_style
from nst.engine.inputs import TransferInputs
from nst.engine.tiling import WHOLE, Tiling
from nst.errors import UsageError
from nst.settings import Settings
from nst_utils import TotalVariation

SETTINGS = Settings(
    content_layers=["conv1_2:1", "conv3_1:1"], style_layers=["conv1_1", "conv3_1"], tv_weight=10
)
SHALLOW = Settings(content_layers=["conv1_1"], style_layers=["conv1_1"])  # sees 3 x 3 pixels


@pytest.fixture(scope="module")
def content(temple):
    return temple[:32, :48]


@pytest.fixture(scope="module")
def style(harbour):
    return harbour[:30, :40]


@pytest.fixture(scope="module")
def visible():
    """The right half, with a soft border."""
    ramp = np.clip(np.arange(48, dtype=np.float32) - 20, 0, 5) / 5
    return np.tile(ramp, (32, 1))


@pytest.fixture(scope="module")
def image(content):
    noise = np.random.default_rng(1).normal(scale=30, size=content.shape)
    return np.clip(content + noise, 0, 255).astype(np.float32)


def test_gradient_of_a_partly_hidden_picture(vgg19, content, style, visible, image):
    assert_gradient(build_objective(content, style, vgg19, SETTINGS, visible=visible), image)


@pytest.mark.parametrize("masks", [(), "soft"])
def test_tiles_and_whole_agree(vgg19, content, style, visible, image, masks):
    styles = style
    if masks:
        masks, styles = [np.full((32, 48), 0.5, np.float32), visible[:, ::-1].copy()], [style] * 2
    found = []
    for tiling in (WHOLE, Tiling((("pool1", 16), (None, 16)))):
        objective = build_objective(
            content, styles, vgg19, SETTINGS, visible=visible, content_masks=masks, tiling=tiling
        )
        found.append(objective(image))
    (whole, gradient), (tiled, tiled_gradient) = found
    np.testing.assert_allclose(tiled[:4], whole[:4], rtol=1e-5)
    error = np.linalg.norm(gradient - tiled_gradient) / np.linalg.norm(gradient)
    assert error < 1e-5


def test_all_visible_is_an_opaque_picture(vgg19, content, style, image):
    ones = np.ones(content.shape[:2], np.float32)
    opaque, gradient = build_objective(content, style, vgg19, SETTINGS)(image)
    seen, same = build_objective(content, style, vgg19, SETTINGS, visible=ones)(image)
    np.testing.assert_allclose(seen[:4], opaque[:4], rtol=1e-5)
    assert np.linalg.norm(gradient - same) < 1e-5 * np.linalg.norm(gradient)


def test_what_is_hidden_changes_no_cost_and_is_not_moved(vgg19, content, style, visible, image):
    other_content, other_image = content.copy(), image.copy()
    other_content[:, :19], other_image[:, :19] = 255, 0  # beyond the reach of what is visible
    costs, gradient = build_objective(content, style, vgg19, SHALLOW, visible=visible)(image)
    others, _ = build_objective(other_content, style, vgg19, SHALLOW, visible=visible)(other_image)
    assert others[:3] == pytest.approx(costs[:3], rel=1e-6)
    assert (gradient[:, :19] == 0).all()
    assert (gradient[:, 22:] != 0).any()


def test_the_style_is_compared_where_the_picture_is_visible(vgg19, content, visible, image):
    """J_style is the share that is visible times that of a picture of the visible half alone."""
    half = np.zeros((32, 48), np.float32)
    half[:, 24:] = 1
    settings = Settings(alpha=0, content_layers=["conv1_1"], style_layers=["conv1_1"])
    both = build_objective(content, content, vgg19, settings, visible=half, style_masks=[half])
    assert both(content)[0].style == pytest.approx(0, abs=1e-3)
    assert both(image)[0].style > 1


def test_total_variation_of_what_is_visible(image, visible):
    def variation(pixels):
        total = 0.0
        for axis in (0, 1):
            pairs = np.moveaxis(visible.astype(np.float64), axis, 0)
            weights = np.moveaxis(pairs[1:] * pairs[:-1], 0, axis)
            total += (np.abs(np.diff(pixels, axis=axis)) * weights[..., np.newaxis]).sum()
        return total / visible.size

    random = np.random.default_rng(2)
    weights = tf.constant(visible[..., np.newaxis])
    zeros = tf.zeros(image.shape)
    found, gradient = TotalVariation(5.0).add_gradient(tf.constant(image), zeros, weights)
    assert float(found) == pytest.approx(variation(image.astype(np.float64)), rel=1e-5)
    direction, step = random.normal(size=image.shape), 1e-6
    up, down = (variation(image + sign * step * direction) for sign in (1, -1))
    assert np.sum(gradient.numpy() * direction) == pytest.approx(
        5 * (up - down) / 2 / step, abs=1e-3
    )


@pytest.mark.parametrize("mode", ["match", "luminance"])
def test_hidden_colours_do_not_count(content, style, visible, mode):
    mask = np.zeros(style.shape[:2], np.float32)
    mask[:20] = 1
    hidden = visible == 0
    other_style, other_content = style.copy(), content.copy()
    other_style[20:], other_content[hidden] = 255, 255
    one = prepare_style(style, content, mode, mask, visible)
    other = prepare_style(other_style, other_content, mode, mask, visible)
    np.testing.assert_allclose(one[:20], other[:20], atol=0.01)
    ones = [np.ones(picture.shape[:2], np.float32) for picture in (style, content)]
    whole = prepare_style(style, content, mode, *ones)
    np.testing.assert_allclose(whole, prepare_style(style, content, mode), atol=0.1)
    assert np.abs(one - whole).max() > 1


def test_what_is_visible_is_resized_with_the_rest(content, style, visible):
    inputs = TransferInputs(content.shape[:2], content, (style,), visible=visible).scaled(0.5)
    assert inputs.visible.shape == inputs.size == (16, 24)
    for wrong in (visible[:5], visible * 2, visible * 0):
        with pytest.raises(UsageError, match="visible"):
            TransferInputs(content.shape[:2], content, (style,), visible=wrong)
