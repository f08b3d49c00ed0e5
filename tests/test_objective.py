"""Tiled against whole: the same cost, the same gradient, on real weights."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nst import networks
from nst.settings import Settings
from nst.tiling import WHOLE, Plan, grid, halo, tiles
from nst.vgg import VGG
from nst.weights import Weights
from nst_utils import build_objective, transfer_style
from test_weights import deepened

EXACT = 1e-5
SOME_LAYERS = st.lists(
    st.sampled_from(networks.layers("VGG-19")), min_size=1, max_size=3, unique=True
)
TILE = st.one_of(st.none(), st.integers(1, 150))


@pytest.fixture(scope="module")
def vgg19(vgg16):
    return Weights("VGG-19", vgg16.file, vgg16.mean, deepened(vgg16))


def compared(network, settings, content, style, plan, dtype=tf.float32, **masks):
    """Whole and tiled (costs, gradient) of an image between content and noise."""
    random = np.random.default_rng(1)
    image = np.clip(content + random.normal(scale=30, size=content.shape), 0, 255)
    image = image.astype(np.float32)
    return [
        build_objective(content, style, network, settings, dtype=dtype, plan=tiling, **masks)(image)
        for tiling in (WHOLE, plan)
    ]


def difference(one, other):
    return np.linalg.norm(one - other) / max(np.linalg.norm(one), 1e-30)


@pytest.mark.slow
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    height=st.integers(1, 150),
    width=st.integers(1, 150),
    style_size=st.tuples(st.integers(1, 72), st.integers(1, 96)),
    cuts=st.sets(st.sampled_from(["conv1_2", "pool1", "conv2_2", "pool2", "conv3_2", "pool3"])),
    sizes=st.lists(TILE, min_size=7, max_size=7),
    keep=st.booleans(),
    content_layers=SOME_LAYERS,
    style_layers=SOME_LAYERS,
    pooling=st.sampled_from(["avg", "max"]),
    deep=st.booleans(),
    styles=st.integers(1, 3),
    masked=st.sets(st.sampled_from(["content_masks", "style_masks"])),
    left_out=st.sampled_from([{}, {}, {"alpha": 0}, {"beta": 0}]),
)
def test_any_tiling_gives_the_whole(
    vgg16,
    vgg19,
    harbour,
    height,
    width,
    style_size,
    cuts,
    sizes,
    keep,
    content_layers,
    style_layers,
    pooling,
    deep,
    styles,
    masked,
    left_out,
):
    network = vgg19 if deep else vgg16
    known = networks.layers(network.network)
    content_layers, style_layers = (
        [layer for layer in layers if layer in known] or ["conv1_1"]
        for layers in (content_layers, style_layers)
    )
    options = Settings(
        content_layers=content_layers,
        style_layers=style_layers,
        pooling=pooling,
        tv_weight=3,
        style_weights=tuple(range(1, styles + 1)),
        **left_out,
    )
    random = np.random.default_rng(height * 1000 + width)
    content = random.uniform(0, 255, (height, width, 3)).astype(np.float32)
    ordered = [layer for layer in known if layer in cuts]
    plan = Plan(tuple(zip([*ordered, None], sizes)), keep)
    pictures = [harbour[: style_size[0], : style_size[1]]]
    for number in range(1, styles):
        shape = style_size[0] + 3 * number, style_size[1], 3
        pictures.append(random.uniform(0, 255, shape).astype(np.float32))
    masks = {}
    for which in masked:
        of = [content] * styles if which == "content_masks" else pictures
        masks[which] = [random.uniform(0, 1, p.shape[:2]).astype(np.float32) for p in of]
    (whole, gradient), (tiled, tiled_gradient) = compared(
        network, options, content, pictures, plan, **masks
    )
    for one, other in zip(whole, tiled):
        assert other == pytest.approx(one, rel=EXACT, abs=1e-6 * abs(whole.total))
    # Max pooling may take the other of two equal values, where rounding makes them differ.
    assert difference(gradient, tiled_gradient) <= (EXACT if pooling == "avg" else 1e-3)


@pytest.mark.parametrize("plan", [Plan((("pool2", 32), (None, 64))), Plan(((None, 48),), False)])
def test_bfloat16_tiles_are_no_worse_than_the_whole_in_bfloat16(vgg16, temple, harbour, plan):
    (exact, slope), _ = compared(vgg16, Settings(), temple, harbour, plan)
    short = compared(vgg16, Settings(), temple, harbour, plan, tf.bfloat16)
    (whole, whole_slope), (tiled, tiled_slope) = short
    assert abs(tiled.total - exact.total) <= 1.2 * abs(whole.total - exact.total) + 1e-4
    assert difference(slope, tiled_slope) <= 1.2 * difference(slope, whole_slope)


def test_float16_tiles(vgg16, temple, harbour):
    plan = Plan((("pool2", 32), (None, 64)))
    (exact, slope), _ = compared(vgg16, Settings(), temple, harbour, plan)
    _, (tiled, tiled_slope) = compared(vgg16, Settings(), temple, harbour, plan, tf.float16)
    assert tiled.total == pytest.approx(exact.total, rel=0.01)
    assert difference(slope, tiled_slope) < 0.02


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_run_by_tiles_makes_the_same_picture(vgg16, temple, harbour, optimizer):
    options = Settings(epochs=6, scales=2, optimizer=optimizer, precision="float32")
    plan = Plan((("pool2", 32), (None, 32)))
    whole = list(transfer_style(temple, harbour, vgg16, options))
    tiled = list(transfer_style(temple, harbour, vgg16, options, plans=[plan, plan]))
    for one, other in zip(whole, tiled):
        assert other.costs.total == pytest.approx(one.costs.total, rel=1e-4)
        assert np.abs(other.image - one.image).mean() < 0.01


@settings(deadline=None)
@given(
    st.integers(1, 3000),
    st.integers(1, 300),
    st.integers(8, 4000),
    st.sampled_from(networks.layers("VGG-19")),
)
def test_the_insides_of_tiles_cover_the_map_once(height, width, size, deepest):
    layers = networks.layers_up_to("VGG-19", [deepest])
    covered = np.zeros((height, width), np.uint8)
    for tile in tiles(height, width, size, layers):
        top, left, bottom, right = tile.inside
        covered[top:bottom, left:right] += 1
        step, around = grid(layers), halo(layers)
        assert tile.top % step == tile.left % step == 0
        assert tile.top in (0, top - around)
        assert tile.right in (width, right + around)
        assert bottom - top <= max(step, -(-size // step) * step)
    assert (covered == 1).all()


@pytest.mark.parametrize(("deepest", "width"), [("conv1_1", 1), ("pool1", 2), ("conv5_4", 128)])
def test_the_halo_is_as_wide_as_a_layer_sees(vgg19, deepest, width):
    layers = networks.layers_up_to("VGG-19", [deepest])
    assert halo(layers) == width
    size = 2 * width + 4 * grid(layers)
    random = np.random.default_rng(0)
    image = random.uniform(0, 255, (size, size, 3)).astype(np.float32)
    other = image.copy()
    centre = size // 2 // grid(layers) * grid(layers)
    other[:, : centre - width] = 0  # what lies beyond the halo
    vgg = VGG(vgg19, (deepest,))
    cell = centre // grid(layers)
    seen, blind = (vgg(tf.constant(x))[deepest].numpy()[:, :, cell:] for x in (image, other))
    assert (seen[:, :, :1] == blind[:, :, :1]).all()
    other[:, : centre + grid(layers)] = 0
    changed = vgg(tf.constant(other))[deepest].numpy()[:, :, cell:]
    assert not (seen[:, :, :1] == changed[:, :, :1]).all()
