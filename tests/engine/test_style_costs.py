"""Style costs beside the Gram matrix's, against NumPy and SciPy, whole, by tiles and by regions."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from helpers import ROOT, assert_gradient
from nst.api import build_objective
from nst.engine.evaluation import Evaluation
from nst.engine.masks import mask_pyramid
from nst.engine.tile_graph import divided
from nst.engine.tiling import WHOLE, Tiling
from nst.pictures.read import read_picture
from nst.settings import Settings
from nst.style_losses import STYLE_LOSSES
from nst_utils import style_cost_class, transfer_style
from reference import activations_in_float64, assert_cost_and_gradient, style_in_float64

NEW = ("moments", "wasserstein")
STYLE_COSTS = {
    word: style_cost_class(word) for word, loss in STYLE_LOSSES.items() if not loss.matches
}
DEPTH = 7


@pytest.fixture(scope="module")
def woodcut():
    return read_picture(ROOT / "images/woodcut_wave.jpg", 80).rgb.astype(np.float32)


@pytest.fixture(scope="module")
def start(temple):
    """An image between the content and noise."""
    noise = np.random.default_rng(1).normal(scale=30, size=temple.shape)
    return np.clip(temple + noise, 0, 255).astype(np.float32)


def relu_features(seed, positions=200, depth=DEPTH, scale=1.0):
    """Activations (1, n, 1, C) as after a ReLU, whose channels depend on each other."""
    random = np.random.default_rng(seed)
    mixture = random.normal(size=(depth, depth)) / np.sqrt(depth)
    values = random.normal(size=(positions, depth)) @ mixture + random.normal(size=depth)
    return scale * np.maximum(values + 0.5, 0).astype(np.float32).reshape(1, positions, 1, depth)


def mean_of(cost, features, guide=None):
    count = features[0, ..., 0].size if guide is None else guide.sum()
    return divided(cost.sums(tf.constant(features), None, guide), tf.constant(count, tf.float32))


# --- One layer -------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", STYLE_COSTS)
@pytest.mark.parametrize("guided", [False, True])
def test_a_cost_and_its_gradient_are_those_of_the_formula(loss, guided):
    cost = STYLE_COSTS[loss](DEPTH)
    features, style = relu_features(1), relu_features(2, positions=150)
    guide = None
    if guided:
        guide = np.random.default_rng(3).random((200, 1, 1)).astype(np.float32)
    positions = tf.constant(200.0 if guide is None else guide.sum(), tf.float32)
    mean, target = mean_of(cost, features, guide), cost.target(mean_of(cost, style))

    def formula(values):
        return 3 * style_in_float64(loss, values, style.astype(np.float64), guide)

    assert 3 * float(cost.value(mean, target)) == pytest.approx(formula(features), rel=1e-4)
    dsums = cost.dvalue(mean, target, 3.0, positions)
    gradient = cost.gradient(tf.constant(features), None, dsums, guide).numpy().astype(np.float64)
    random = np.random.default_rng(0)
    for direction in (
        gradient / np.linalg.norm(gradient),
        *random.normal(size=(2, *gradient.shape)),
    ):
        step = 1e-5 * direction
        slope = (formula(features + step) - formula(features - step)) / 2e-5
        scale = np.linalg.norm(gradient) * np.linalg.norm(direction)
        assert np.sum(gradient * direction) == pytest.approx(slope, abs=1e-3 * scale)


@pytest.mark.parametrize("loss", STYLE_COSTS)
def test_sums_of_parts_add_up(loss):
    cost = STYLE_COSTS[loss](DEPTH)
    features = relu_features(1)
    whole = cost.sums(tf.constant(features), None, None)
    parts = [cost.sums(tf.constant(part), None, None) for part in np.split(features, [60], axis=1)]
    added = tf.nest.map_structure(tf.add, *parts)
    for one, other in zip(tf.nest.flatten(whole), tf.nest.flatten(added)):
        np.testing.assert_allclose(one, other, rtol=1e-5)


@given(
    loss=st.sampled_from(list(STYLE_COSTS)),
    seed=st.integers(0, 1000),
    depth=st.integers(1, 12),
    scale=st.sampled_from([1e-3, 1.0, 1e3]),
)
def test_the_distance_to_itself_is_zero_and_to_others_is_not(loss, seed, depth, scale):
    cost = STYLE_COSTS[loss](depth)
    one, other = (relu_features(seed + number, 40, depth, scale) for number in (0, 1))
    to_itself, to_other, from_other = (
        float(cost.value(mean_of(cost, image), cost.target(mean_of(cost, style))))
        for image, style in ((one, one), (one, other), (other, one))
    )
    assert to_itself >= 0
    assert to_itself <= 1e-5 * to_other + 1e-30
    if loss == "gram":
        assert to_other == from_other
    else:  # but for what is added to variances, which is the style's
        assert to_other == pytest.approx(from_other, rel=0.05)


@pytest.mark.parametrize("loss", STYLE_COSTS)
def test_the_distance_grows_alike_to_both_sides(loss):
    """Of a shift and of a stretch of the activations."""
    cost = STYLE_COSTS[loss](DEPTH)
    style = relu_features(1) + 1
    target = cost.target(mean_of(cost, style))
    centre = style.mean(axis=1, keepdims=True)

    def distance(shift, stretch):
        features = (centre + shift + (1 + stretch) * (style - centre)).astype(np.float32)
        return float(cost.value(mean_of(cost, features), target))

    for change in ((1.0, 0.0), (0.0, 1.0)):
        sizes = (0.05, 0.1, 0.2, 0.4)
        up, down = (
            [distance(*(sign * size * part for part in change)) for size in sizes]
            for sign in (1, -1)
        )
        assert np.all(np.diff(up) > 0)
        assert np.all(np.diff(down) > 0)
        if loss == "wasserstein":  # quadratic in both
            np.testing.assert_allclose(up, down, rtol=1e-2)
            np.testing.assert_allclose(up[1:], 4 * np.array(up[:-1]), rtol=1e-2)


@pytest.mark.parametrize("loss", STYLE_COSTS)
@pytest.mark.parametrize("which", ["image", "style", "both"])
@pytest.mark.parametrize("kind", ["black", "flat", "one position", "repeated", "one channel"])
def test_layers_without_variance_have_finite_gradients(loss, which, kind):
    plain = relu_features(1)
    if kind == "one position":
        plain = plain[:, :1]
    elif kind == "repeated":  # its covariance is rounding alone, of either sign
        plain = np.tile(100 * np.abs(plain[:, 9:10]) + 1 / 3, (1, 131, 1, 1)).astype(np.float32)
    elif kind == "one channel":
        plain[..., 1:] = 0
    else:
        plain[:] = 0 if kind == "black" else 3
    usual = relu_features(2)
    image = usual if which == "style" else plain
    style = usual if which == "image" else plain
    cost = STYLE_COSTS[loss](DEPTH)
    target = cost.target(mean_of(cost, style))
    mean = mean_of(cost, image)
    assert np.isfinite(cost.value(mean, target))
    dsums = cost.dvalue(mean, target, 1.0, tf.constant(200.0))
    assert np.isfinite(cost.gradient(tf.constant(image), None, dsums, None)).all()


# --- The network -----------------------------------------------------------------------------


@pytest.mark.parametrize("loss", NEW)
@pytest.mark.parametrize("padding", ["reflect", "zeros"])
@pytest.mark.parametrize("layers", [["conv1_1", "conv2_1"], ["conv2_1:3", "conv3_1"]])
def test_cost_and_gradient_against_float64(vgg19, temple, harbour, loss, padding, layers):
    options = Settings(
        content_layers=["conv2_2"], style_layers=layers, style_loss=loss, padding=padding
    )
    content, style = temple[20:33, 30:44], harbour[10:22, 40:51]
    assert_cost_and_gradient(vgg19, content, style, options, exact=2e-4)


@pytest.mark.parametrize("loss", NEW)
def test_the_gradient_is_the_slope_of_the_cost(vgg19, temple, harbour, start, loss):
    objective = build_objective(temple, harbour, vgg19, Settings(style_loss=loss))
    assert_gradient(objective, start)


@pytest.mark.parametrize("loss", NEW)
@pytest.mark.parametrize(
    "tiling", [Tiling((("pool2", 32), (None, 64))), Tiling(((None, 48),), False)]
)
@pytest.mark.parametrize("padding", ["reflect", "zeros"])
def test_tiles_give_the_whole(vgg19, temple, harbour, start, loss, tiling, padding):
    layers = {"content_layers": ["conv3_2"], "style_layers": ["conv1_1", "conv2_1", "conv3_1"]}
    settings = Settings(style_loss=loss, padding=padding, **layers)
    whole, gradient = build_objective(temple, harbour, vgg19, settings)(start)
    tiled, other = build_objective(temple, harbour, vgg19, settings, tiling=tiling)(start)
    # Roots of covariances near 0 enlarge the rounding of their sums, which processors do otherwise.
    rtol = 1e-4 if loss == "wasserstein" else 2e-5
    np.testing.assert_allclose(tiled[:4], whole[:4], rtol=rtol)
    np.testing.assert_allclose(tiled.layers, whole.layers, rtol=rtol)
    assert np.linalg.norm(other - gradient) <= rtol * np.linalg.norm(gradient)


@pytest.mark.parametrize("loss", NEW)
def test_a_white_mask_is_no_mask(vgg19, temple, harbour, start, loss):
    settings = Settings(style_loss=loss)
    costs, gradient = build_objective(temple, harbour, vgg19, settings)(start)
    white = [np.ones(p.shape[:2], np.float32) for p in (temple, harbour)]
    masks = {"content_masks": white[:1], "style_masks": white[1:]}
    of_masks, of_gradient = build_objective(temple, harbour, vgg19, settings, **masks)(start)
    np.testing.assert_allclose(of_masks[:4], costs[:4], rtol=2e-5)
    np.testing.assert_allclose(of_masks.layers, costs.layers, rtol=2e-5)
    assert np.linalg.norm(of_gradient - gradient) <= 1e-4 * np.linalg.norm(gradient)


SMALL = {"style_layers": ["conv1_1", "conv3_1:3"], "style_weights": (1, 3), "alpha": 0}
GRID = {"conv1_1": 1, "conv3_1": 4}
LAYER_WEIGHTS = {"conv1_1": 0.25, "conv3_1": 0.75}


@pytest.mark.parametrize("loss", NEW)
@pytest.mark.parametrize("padding", ["reflect", "zeros"])
def test_each_region_is_measured_against_its_own_style(
    vgg19, temple, harbour, woodcut, start, loss, padding
):
    settings = Settings(style_loss=loss, padding=padding, **SMALL)
    size = 20, 28
    image, styles = start[: size[0], : size[1]], (harbour[:17, :22], woodcut[:19, 9:30])
    soft = np.tile(np.linspace(1, 0, size[1], dtype=np.float32), (size[0], 1))
    masks = soft, 1 - soft
    objective = build_objective(image, styles, vgg19, settings, content_masks=masks)
    activations = activations_in_float64(vgg19, image, padding=padding)
    expected = 0.0
    for mask, style, share in zip(masks, styles, (0.5, 1.5)):  # weights times their number
        of_style = activations_in_float64(vgg19, style, padding=padding)
        for layer, weight in LAYER_WEIGHTS.items():
            guide = mask_pyramid([mask])[GRID[layer]]
            cost = style_in_float64(loss, activations[layer], of_style[layer], guide)
            expected += weight * share * guide.mean() * cost
    assert objective(image)[0].style == pytest.approx(expected, rel=1e-3)
    assert_gradient(objective, image)


@pytest.mark.parametrize("loss", NEW)
def test_mixed_styles_are_the_mixture_of_their_positions(
    vgg19, temple, harbour, woodcut, start, loss
):
    settings = Settings(style_loss=loss, **SMALL)
    image, styles = start[:20, :28], (harbour[:17, :22], woodcut[:19, 9:30])
    objective = build_objective(image, styles, vgg19, settings)
    activations, *of_styles = (
        activations_in_float64(vgg19, picture, padding="reflect") for picture in (image, *styles)
    )
    expected = 0.0
    for layer, weight in LAYER_WEIGHTS.items():
        flat = [found[layer].reshape(-1, found[layer].shape[-1]) for found in of_styles]
        shares = [np.full(len(x), share / len(x)) for x, share in zip(flat, (0.25, 0.75))]
        cost = style_in_float64(
            loss,
            activations[layer],
            np.concatenate(flat),
            style_weights=np.concatenate(shares),
        )
        expected += weight * cost
    assert objective(image)[0].style == pytest.approx(expected, rel=1e-3)
    assert_gradient(objective, image)


@pytest.mark.parametrize("loss", NEW)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_short_dtypes_are_near_float32(vgg19, temple, harbour, start, loss, dtype):
    """At the start, and where a run ends, the cost being low there."""
    settings = Settings(style_loss=loss, optimizer="lbfgs", epochs=8, precision="float32")
    exact = build_objective(temple, harbour, vgg19, settings)
    short = build_objective(temple, harbour, vgg19, settings, dtype=tf.dtypes.as_dtype(dtype))
    images = [start]
    if dtype == "bfloat16":  # float16 is slow on processors without it
        *_, last = transfer_style(temple, harbour, vgg19, settings)
        images.append(last.image)
    for image in images:
        costs, gradient = exact(image)
        costs_short, gradient_short = short(image)
        assert costs_short.total == pytest.approx(costs.total, rel=0.01)
        norm, norm_short = np.linalg.norm(gradient), np.linalg.norm(gradient_short)
        assert np.sum(gradient * gradient_short) / norm / norm_short > 0.99
        assert norm_short / norm == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("loss", NEW)
@pytest.mark.parametrize("padding", ["reflect", "zeros"])
@pytest.mark.parametrize("size", [(1, 1), (2, 33)])
def test_styles_of_few_pixels(vgg19, temple, harbour, loss, padding, size):
    """Their deeper layers have no variance."""
    settings = Settings(style_loss=loss, padding=padding, epochs=2, precision="float32")
    style = harbour[: size[0], : size[1]]
    *_, last = transfer_style(temple[:20, :30], style, vgg19, settings)
    assert np.isfinite(last.costs.total)
    deep = replace(settings, style_layers=["conv3_4", "pool4", "pool5"])
    _, gradient = build_objective(temple, style, vgg19, deep)(temple[::-1].copy())
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("loss", STYLE_COSTS)
def test_lbfgs_lowers_it(vgg19, temple, harbour, loss):
    settings = Settings(style_loss=loss, optimizer="lbfgs", epochs=10)
    evaluation = Evaluation("float32", (WHOLE,))
    first, *_, last = transfer_style(temple, harbour, vgg19, settings, evaluation=evaluation)
    assert last.costs.total < 0.3 * first.costs.total
    assert all(end < begin for begin, end in zip(first.costs.layers[:4], last.costs.layers))


@pytest.mark.parametrize("loss", STYLE_COSTS)
def test_a_style_in_its_own_style_costs_nothing(vgg19, harbour, loss):
    settings = Settings(style_loss=loss)
    objective = build_objective(harbour, harbour, vgg19, settings)
    _, other = objective(np.ascontiguousarray(harbour[::-1]))
    costs, gradient = objective(harbour)
    assert 0 <= costs.total <= 1e-6 * objective(np.zeros_like(harbour))[0].total
    assert np.linalg.norm(gradient) <= 1e-3 * np.linalg.norm(other)
