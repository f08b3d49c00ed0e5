"""Cost and gradient of a picture: tiled against whole, several styles, regions, new costs."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import nst_utils
from helpers import ROOT, assert_gradient
from nst.api import build_objective
from nst.engine.evaluation import Evaluation
from nst.engine.inputs import TransferInputs
from nst.engine.masks import mask_pyramid
from nst.engine.tiling import WHOLE, Tiling
from nst.pictures.read import read_picture
from nst.settings import Settings
from nst.vgg.layers import layer_names
from nst_utils import build_vgg, start_image, transfer_style
from reference import inside, mirrored

EXACT = 1e-5
# Of gradients, where a layer has fewer positions than channels: its covariance has no inverse.
ROUNDED = {"gram": EXACT, "moments": 1e-3, "wasserstein": 2e-2}
SOME_LAYERS = st.lists(st.sampled_from(layer_names("VGG-19")), min_size=1, max_size=3, unique=True)
TILES = Tiling((("pool2", 32), (None, 64)))


@pytest.fixture(scope="module")
def woodcut():
    return read_picture(ROOT / "images/woodcut_wave.jpg", 80).rgb.astype(np.float32)


@pytest.fixture(scope="module")
def soft():
    """A soft mask of the temple picture: white at the left, black at the right."""
    return np.tile(np.linspace(1, 0, 96, dtype=np.float32), (64, 1))


@pytest.fixture(scope="module")
def noisy(temple, harbour, vgg19):
    """The start image of a transfer."""
    inputs = TransferInputs(temple.shape[:2], temple, (harbour,))
    return start_image(inputs, vgg19.mean, Settings())


def near(content):
    """An image between the content and noise."""
    noise = np.random.default_rng(1).normal(scale=30, size=content.shape)
    return np.clip(content + noise, 0, 255).astype(np.float32)


def evaluated(network, settings, content, style, tiling=WHOLE, dtype=tf.float32, **masks):
    """(costs, gradient) of an image near the content."""
    objective = build_objective(
        content, style, network, settings, dtype=dtype, tiling=tiling, **masks
    )
    return objective(near(content))


def difference(one, other):
    return np.linalg.norm(one - other) / max(np.linalg.norm(one), 1e-30)


# --- Tiled against whole ---------------------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=12)
@given(
    height=st.integers(1, 150),
    width=st.integers(1, 150),
    style_size=st.tuples(st.integers(1, 72), st.integers(1, 96)),
    cuts=st.sets(st.sampled_from(["conv1_2", "pool1", "conv2_2", "pool2", "conv3_2", "pool3"])),
    counts=st.lists(st.none() | st.integers(1, 5), min_size=7, max_size=7),
    keep=st.booleans(),
    content_layers=SOME_LAYERS,
    style_layers=SOME_LAYERS,
    pooling=st.sampled_from(["avg", "max"]),
    padding=st.sampled_from(["reflect", "zeros"]),
    style_loss=st.sampled_from(["gram", "moments", "wasserstein"]),
    styles=st.integers(1, 3),
    masked=st.sets(st.sampled_from(["content_masks", "style_masks"])),
    left_out=st.sampled_from([{}, {}, {"alpha": 0}, {"beta": 0}]),
)
def test_any_tiling_gives_the_whole(
    vgg19,
    harbour,
    height,
    width,
    style_size,
    cuts,
    counts,
    keep,
    content_layers,
    style_layers,
    pooling,
    padding,
    style_loss,
    styles,
    masked,
    left_out,
):
    options = Settings(
        content_layers=content_layers,
        style_layers=style_layers,
        pooling=pooling,
        padding=padding,
        style_loss=style_loss,
        tv_weight=3,
        style_weights=tuple(range(1, styles + 1)),
        **left_out,
    )
    random = np.random.default_rng(height * 1000 + width)
    content = random.uniform(0, 255, (height, width, 3)).astype(np.float32)
    ordered = [layer for layer in layer_names("VGG-19") if layer in cuts]
    sizes = [count and math.ceil(max(height, width) / count) for count in counts]
    tiling = Tiling(tuple(zip([*ordered, None], sizes)), keep)
    pictures = [harbour[: style_size[0], : style_size[1]]]
    for number in range(1, styles):
        shape = style_size[0] + 3 * number, style_size[1], 3
        pictures.append(random.uniform(0, 255, shape).astype(np.float32))
    masks = {}
    for which in masked:
        masked_pictures = [content] * styles if which == "content_masks" else pictures
        masks[which] = [
            random.uniform(0, 1, picture.shape[:2]).astype(np.float32)
            for picture in masked_pictures
        ]
    whole, gradient = evaluated(vgg19, options, content, pictures, **masks)
    tiled, tiled_gradient = evaluated(vgg19, options, content, pictures, tiling, **masks)
    for one, other in zip(whole, tiled):
        exact = EXACT if style_loss == "gram" else 1e-4
        assert other == pytest.approx(one, rel=exact, abs=1e-6 * abs(whole.total))
    # Max pooling may take the other of two equal values, where rounding makes them differ.
    exact = ROUNDED[style_loss] if pooling == "avg" else max(1e-3, ROUNDED[style_loss])
    assert difference(gradient, tiled_gradient) <= exact


@pytest.mark.parametrize("tiling", [TILES, Tiling(((None, 48),), False)])
def test_bfloat16_tiles_are_no_worse_than_the_whole_in_bfloat16(vgg19, temple, harbour, tiling):
    arguments = vgg19, Settings(), temple[:48, :64], harbour
    exact, gradient = evaluated(*arguments)
    whole, whole_gradient = evaluated(*arguments, dtype=tf.bfloat16)
    tiled, tiled_gradient = evaluated(*arguments, tiling, tf.bfloat16)
    assert abs(tiled.total - exact.total) <= 1.2 * abs(whole.total - exact.total) + 1e-4
    assert difference(gradient, tiled_gradient) <= 1.2 * difference(gradient, whole_gradient)


def test_float16_tiles(vgg19, temple, harbour):
    content = temple[:48, :64]
    exact, gradient = evaluated(vgg19, Settings(), content, harbour)
    tiled, tiled_gradient = evaluated(vgg19, Settings(), content, harbour, TILES, tf.float16)
    assert tiled.total == pytest.approx(exact.total, rel=0.01)
    assert difference(gradient, tiled_gradient) < 0.02


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_run_by_tiles_makes_the_same_picture(vgg19, temple, harbour, optimizer):
    options = Settings(epochs=6, scales=2, optimizer=optimizer)
    whole, tiled = (
        list(
            transfer_style(
                temple[:48, :64],
                harbour,
                vgg19,
                options,
                evaluation=Evaluation("float32", (tiling, tiling)),
            )
        )
        for tiling in (WHOLE, Tiling((("pool2", 32), (None, 32))))
    )
    for one, other in zip(whole, tiled, strict=True):
        assert other.costs.total == pytest.approx(one.costs.total, rel=1e-4)
        assert np.abs(other.image - one.image).mean() < 0.01


# --- Several styles --------------------------------------------------------------------------


def test_a_white_mask_is_no_mask(vgg19, temple, harbour, noisy):
    costs, gradient = build_objective(temple, harbour, vgg19)(noisy)
    white = [np.ones(p.shape[:2], np.float32) for p in (temple, harbour)]
    masks = {"content_masks": white[:1], "style_masks": white[1:]}
    of_masks, of_gradient = build_objective(temple, harbour, vgg19, **masks)(noisy)
    np.testing.assert_allclose(of_masks[:4], costs[:4], rtol=1e-5)
    np.testing.assert_allclose(of_masks.layers, costs.layers, rtol=1e-5)
    np.testing.assert_allclose(of_gradient, gradient, atol=1e-5 * np.abs(gradient).max())


def test_mixed_styles_have_the_mixture_of_gram_matrices(vgg19, temple, harbour, woodcut):
    settings = Settings(style_weights=(3, 1))
    mixed = build_objective(temple, [harbour, woodcut], vgg19, settings)
    alone = [build_objective(temple, style, vgg19) for style in (harbour, woodcut)]
    assert len(mixed.style_means) == 5
    for key, mean in mixed.style_means.items():
        one, other = (objective.style_means[key] for objective in alone)
        np.testing.assert_allclose(mean, 0.75 * one + 0.25 * other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("padding", ["reflect", "zeros"])
def test_regions_are_measured_against_their_own_style(
    vgg19, temple, harbour, woodcut, soft, noisy, padding
):
    """J_style by NumPy from the activations, with guides and Gram matrices written out."""
    settings = Settings(
        style_weights=(1, 3), style_layers=["conv2_1", "conv3_1:3"], padding=padding
    )
    masks = [soft, 1 - soft]
    objective = build_objective(temple, [harbour, woodcut], vgg19, settings, content_masks=masks)
    vgg = build_vgg(vgg19, settings)

    def gram(picture, layer, mask):
        image = mirrored(picture) if padding == "reflect" else picture
        features = vgg(tf.constant(image))[layer].numpy()[0].astype(np.float64)
        if padding == "reflect":
            features = inside(features, layer, picture.shape[:2])
        guide = mask_pyramid([mask])[2 if layer == "conv2_1" else 4].astype(np.float64)
        guided = (features * guide).reshape(-1, features.shape[-1])
        return guided.T @ features.reshape(guided.shape) / guide.sum(), guide.mean()

    expected = 0.0
    for layer, weight in (("conv2_1", 0.25), ("conv3_1", 0.75)):
        for style, mask, share in ((harbour, masks[0], 0.5), (woodcut, masks[1], 1.5)):
            found, area = gram(noisy, layer, mask)
            target, _ = gram(style, layer, np.ones(style.shape[:2], np.float32))
            expected += weight * share * area * np.mean((found - target) ** 2) / 4
    assert objective(noisy)[0].style == pytest.approx(expected, rel=1e-4)


def test_the_gradient_with_regions_is_the_slope_of_the_cost(
    vgg19, temple, harbour, woodcut, soft, noisy
):
    objective = build_objective(
        temple,
        [harbour, woodcut],
        vgg19,
        Settings(alpha=1000, tv_weight=1000, style_weights=(1, 3)),
        content_masks=[soft, (1 - soft) ** 2],
        style_masks=[np.tril(np.ones(harbour.shape[:2], np.float32)), woodcut[:, :, 0] / 255],
    )
    assert_gradient(objective, noisy)


# --- Another cost is one class ---------------------------------------------------------------


@dataclass(frozen=True)
class FirstAndEnergy:
    """A style cost of another kind: mean and mean square of each channel (Li et al. 2017).

    Its sums are a dict of tensors of different shapes, its target a tuple.
    """

    channels: int
    compares_positions = False

    def sums(self, F, P=None, guide=None):
        F = tf.cast(F, tf.float32)
        counted = F if guide is None else F * guide
        return {
            "first": tf.reduce_sum(counted, axis=(0, 1, 2)),
            "energy": (tf.reduce_sum(counted * F),),
        }

    def target(self, mean):
        return mean["first"], tf.cast(mean["energy"][0], tf.float64)

    def value(self, mean, target):
        first = tf.reduce_sum(tf.square(mean["first"] - target[0])) / self.channels
        return first + tf.square(
            (mean["energy"][0] - tf.cast(target[1], tf.float32)) / self.channels
        )

    def value_and_dvalue(self, mean, target, weight, positions):
        return self.value(mean, target), self.dvalue(mean, target, weight, positions)

    def dvalue(self, mean, target, weight, positions):
        scale = 2 * weight / (self.channels * positions)
        energy = mean["energy"][0] - tf.cast(target[1], tf.float32)
        return {
            "first": scale * (mean["first"] - target[0]),
            "energy": (scale * energy / self.channels,),
        }

    def gradient(self, F, P, dsums, guide=None):
        gradient = dsums["first"] + 2 * dsums["energy"][0] * tf.cast(F, tf.float32)
        return gradient if guide is None else gradient * guide


class ByChannel(NamedTuple):
    """The sums of Brightness."""

    squares: tf.Tensor
    difference: tf.Tensor


@dataclass(frozen=True)
class Brightness:
    """A content cost of another kind: differences, and their mean in each channel."""

    channels: int
    compares_positions = True
    cells = 1

    def target_spec(self, dtype):
        return tf.TensorSpec((1, None, None, self.channels), dtype)

    def kept(self, F):
        return F

    def sums(self, F, P, guide=None):
        difference = tf.cast(F, tf.float32) - tf.cast(P, tf.float32)
        axes = (0, 1, 2)
        return ByChannel(tf.reduce_sum(tf.square(difference)), tf.reduce_sum(difference, axis=axes))

    def value(self, mean, target=None):
        return (mean.squares + 5 * tf.reduce_sum(tf.square(mean.difference))) / self.channels

    def dvalue(self, mean, target, weight, positions):
        scale = weight / (self.channels * positions)
        return ByChannel(scale, 10 * scale * mean.difference)

    def gradient(self, F, P, dsums, guide=None):
        difference = tf.cast(F, tf.float32) - tf.cast(P, tf.float32)
        return 2 * dsums.squares * difference + dsums.difference


@pytest.fixture(params=[False, True], ids=["style", "content and style"])
def new_costs(request, monkeypatch):
    """The method with other costs, whose sums are nested: a class for each, and its name."""
    monkeypatch.setattr(nst_utils, "StyleCost", FirstAndEnergy)
    if request.param:
        monkeypatch.setattr(nst_utils, "ContentCost", Brightness)
    return Settings(
        alpha=50,
        style_weights=(1, 3),
        content_layers=["conv2_2"],
        style_layers=["conv1_1", "pool2"],
    )


@pytest.mark.parametrize("masked", [False, True])
def test_a_new_cost_has_a_gradient_and_tiles(
    vgg19, temple, harbour, woodcut, soft, new_costs, masked
):
    masks = {"content_masks": [soft, 1 - soft]} if masked else {}
    styles = [harbour, woodcut]
    objective = build_objective(temple, styles, vgg19, new_costs, **masks)
    assert_gradient(objective, near(temple))
    tiling = Tiling((("pool1", 32), (None, 48)))
    whole, gradient = evaluated(vgg19, new_costs, temple, styles, **masks)
    tiled, tiled_gradient = evaluated(vgg19, new_costs, temple, styles, tiling, **masks)
    assert min(whole.content, *whole.layers) > 0
    np.testing.assert_allclose(tiled[:4], whole[:4], rtol=EXACT)
    assert difference(gradient, tiled_gradient) <= EXACT


def test_a_new_cost_is_lowered_by_a_run(vgg19, temple, harbour, woodcut, new_costs):
    evaluation = Evaluation("float32", (WHOLE,))
    steps = transfer_style(temple, [harbour, woodcut], vgg19, new_costs, evaluation=evaluation)
    first = next(steps)
    for _, step in zip(range(8), steps):
        last = step
    assert last.costs.total < 0.8 * first.costs.total
