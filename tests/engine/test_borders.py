"""The mirror image beyond the borders, its gradient, and what of it is measured."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from helpers import assert_gradient
from nst.api import build_objective
from nst.engine.borders import border_width, extend, fold
from nst.engine.tiling import Tiling
from nst.settings import Settings
from nst.vgg.layers import layer_names, layers_up_to
from nst_utils import build_graphs, transfer_style
from reference import mirrored

SIDES = st.integers(1, 70)
WIDTHS = st.sampled_from([0, 16, 32])


@given(SIDES, SIDES, WIDTHS)
def test_fold_is_the_adjoint_of_extend(height, width, border):
    """<extend(x), y> = <x, fold(y)>."""
    random = np.random.default_rng(height * 100 + width)
    x = random.normal(size=(height, width, 3))
    y = random.normal(size=(height + 2 * border, width + 2 * border, 3))
    before = y.copy()
    extended, folded = extend(x, border), fold(y, border)
    assert extended.shape == y.shape
    assert folded.shape == x.shape
    assert np.vdot(extended, y) == pytest.approx(np.vdot(x, folded), rel=1e-9, abs=1e-9)
    assert (y == before).all()


@given(SIDES, SIDES, WIDTHS)
def test_a_picture_is_in_the_middle_of_its_mirror_image(height, width, border):
    picture = np.arange(height * width * 3, dtype=np.float32).reshape(height, width, 3)
    extended = extend(picture, border)
    assert extended.dtype == np.float32
    np.testing.assert_array_equal(extended, mirrored(picture, border))
    rows, columns = slice(border, border + height), slice(border, border + width)
    np.testing.assert_array_equal(extended[rows, columns], picture)
    if border < min(height, width):
        np.testing.assert_array_equal(extended[::-1], extend(picture[::-1], border))


@given(SIDES, SIDES)
def test_no_border_changes_nothing(height, width):
    picture = np.random.default_rng(0).normal(size=(height, width, 3)).astype(np.float32)
    assert extend(picture, 0) is picture
    assert fold(picture, 0) is picture


def test_every_pixel_is_counted_as_often_as_it_is_seen():
    gradient = np.ones((3 + 32, 1 + 32, 3), np.float32)
    folded = fold(gradient, 16)
    assert folded.dtype == np.float32
    assert folded.sum() == gradient.size
    assert folded.flags.c_contiguous
    assert fold(np.ones((50 + 32, 50 + 32, 3)), 16)[25, 25, 0] == 1  # seen once


@pytest.mark.parametrize("deepest", layer_names("VGG-19"))
def test_the_border_lies_on_the_grid(deepest):
    layers = layers_up_to("VGG-19", [deepest])
    pools = sum(layer.startswith("pool") for layer in layers)
    width = border_width("reflect", layers)
    assert width >= 16
    assert width % 2**pools == 0
    assert border_width("zeros", layers) == 0


def test_the_graphs_have_the_border_of_their_settings(vgg19):
    for padding, deepest, width in (("reflect", "conv5_1", 16), ("reflect", "pool5", 32)):
        assert (
            build_graphs(vgg19, Settings(padding=padding, style_layers=[deepest])).border == width
        )
    assert build_graphs(vgg19, Settings(padding="zeros")).border == 0


@pytest.mark.parametrize(("size", "tile"), [((1, 1), 2), ((1, 21), 4), ((13, 27), 8)])
@pytest.mark.parametrize("layers", [["conv1_1"], ["conv2_2", "pool1"], ["conv4_2", "conv2_1"]])
@pytest.mark.parametrize("cut", ["pool1", "pool2"])
def test_tiles_that_lie_in_the_border_measure_nothing(
    vgg19, temple, harbour, size, tile, layers, cut
):
    settings = Settings(content_layers=layers[:1], style_layers=["conv1_1", *layers[1:]])
    content, style = temple[: size[0], : size[1]], harbour[:10, :12]
    image = np.ascontiguousarray(content[::-1, ::-1])
    tiling = Tiling(((cut, tile), (None, 2 * tile)), keep_content=False)
    whole, gradient = build_objective(content, style, vgg19, settings)(image)
    tiled, other = build_objective(content, style, vgg19, settings, tiling=tiling)(image)
    np.testing.assert_allclose(tiled[:4], whole[:4], rtol=2e-5)
    assert np.linalg.norm(other - gradient) <= 2e-5 * np.linalg.norm(gradient)


@pytest.mark.parametrize(("padding", "alike"), [("reflect", True), ("zeros", False)])
def test_a_flat_picture_is_flat_up_to_its_borders(vgg19, padding, alike):
    """With a mirrored border its Gram matrices do not depend on its size."""
    settings = Settings(padding=padding, alpha=0, style_layers=["conv1_1", "conv2_1", "conv3_1"])
    small, large = (np.full((*size, 3), 90, np.float32) for size in ((5, 8), (40, 33)))
    of_small, of_large = (
        build_objective(None, flat, vgg19, replace(settings, **texture(flat))).style_means
        for flat in (small, large)
    )
    for key, mean in of_small.items():
        difference = np.linalg.norm(of_large[key] - mean) / np.linalg.norm(mean)
        assert (difference < 1e-5) == alike


def texture(image):
    """Settings of a texture of the size of an image."""
    return {
        "image_size": image.shape[1::-1],
        "content_image_filename": None,
        "init": "noise",
    }


@pytest.mark.parametrize("padding", ["reflect", "zeros"])
def test_the_gradient_is_the_slope_of_the_cost(vgg19, temple, harbour, padding):
    settings = Settings(padding=padding, content_layers=["pool5"], alpha=1000)
    image = np.clip(temple[:37, :51] + 20 * np.sin(np.arange(51))[:, np.newaxis], 0, 255)
    objective = build_objective(temple[:37, :51], harbour[:40, :33], vgg19, settings)
    assert_gradient(objective, image.astype(np.float32))


def test_paddings_make_different_pictures_of_the_same_size(vgg19, temple, harbour):
    images = []
    for padding in ("reflect", "zeros"):
        settings = Settings(epochs=3, padding=padding, precision="float32")
        *_, last = transfer_style(temple[:40, :56], harbour, vgg19, settings)
        assert last.image.shape == (40, 56, 3)
        assert tf.reduce_all(tf.math.is_finite(last.image))
        images.append(last.image)
    assert np.abs(images[0] - images[1]).max() > 1
