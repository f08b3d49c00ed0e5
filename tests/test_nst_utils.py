"""The method against independent computations on real weights: graph, costs, gradient, loop."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from helpers import ROOT, assert_gradient
from nst.api import build_objective
from nst.engine import objective as objectives
from nst.engine.evaluation import Evaluation
from nst.engine.inputs import TransferInputs
from nst.engine.objective import Objective
from nst.engine.tiling import WHOLE
from nst.errors import DivergedError, UsageError
from nst.pictures.read import read_picture
from nst.settings import Settings
from nst_utils import (
    VGG,
    ContentCost,
    StyleCost,
    TotalVariation,
    build_graphs,
    gram_matrix,
    start_image,
    transfer_style,
)
from reference import (
    activations_in_float64,
    assert_cost_and_gradient,
    content_in_float64,
    style_in_float64,
)

FLOAT32 = Evaluation("float32", (WHOLE,))  # measures nothing


def inputs_of(content, style):
    return TransferInputs(content.shape[:2], content, (style,))


# --- The network -----------------------------------------------------------------------------


@pytest.mark.parametrize(("pooling", "how"), [("avg", np.mean), ("max", np.max)])
@pytest.mark.parametrize("size", [(13, 10), (8, 16), (1, 7)])
def test_the_graph_computes_vgg(vgg19, temple, pooling, how, size):
    image = temple[: size[0], : size[1]]
    activations = VGG(vgg19, ("conv1_2", "conv2_1", "conv3_1"), pooling)(tf.constant(image))
    expected = activations_in_float64(vgg19, image, how)
    assert set(activations) == {"conv1_2", "conv2_1", "conv3_1"}
    for layer, activation in activations.items():
        assert activation.shape == (1, *expected[layer].shape)
        np.testing.assert_allclose(activation[0], expected[layer], rtol=1e-4, atol=1e-2)


def test_the_graph_stops_at_the_deepest_layer(vgg19):
    assert VGG(vgg19, ("conv2_2", "conv1_1")).layers[-1] == "conv2_2"
    assert VGG(vgg19, ("pool3",)).layers[-1] == "pool3"


# --- The costs -------------------------------------------------------------------------------


def test_costs_are_the_formulas_of_the_paper():
    random = np.random.default_rng(0)
    content = random.normal(size=(1, 3, 5, 7)).astype(np.float32)
    generated = random.normal(size=(1, 3, 5, 7)).astype(np.float32)
    cost = ContentCost(7)
    squares = np.sum((content - generated) ** 2)
    assert float(cost.sums(generated, content)) == pytest.approx(squares, rel=1e-5)
    mean = tf.constant(squares / 15, tf.float32)
    assert float(cost.value(mean)) == pytest.approx(squares / (4 * 3 * 5 * 7), rel=1e-5)

    gram_s = np.einsum("bhwi,bhwj->ij", content, content)
    gram_g = np.einsum("bhwi,bhwj->ij", generated, generated)
    np.testing.assert_allclose(gram_matrix(tf.constant(content)), gram_s, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(StyleCost(7).sums(content), gram_s, rtol=1e-4, atol=1e-4)
    expected = np.sum((gram_s - gram_g) ** 2) / (4 * 7**2 * (3 * 5) ** 2)
    value = StyleCost(7).value(tf.constant(gram_g / 15), tf.constant(gram_s / 15))
    assert float(value) == pytest.approx(expected, rel=1e-4)


def formula_in_float64(cost, features, target, guide):
    """The cost of a layer, by NumPy; target: the content, or the positions of a style."""
    if isinstance(cost, ContentCost):
        return content_in_float64(features, target)
    return style_in_float64("gram", features, target, guide)


@pytest.mark.parametrize(
    ("cost", "guided"),
    [(ContentCost(7), False), (StyleCost(7), False), (StyleCost(7), True)],
    ids=["content", "style", "style of a region"],
)
def test_the_derivatives_of_a_cost(cost, guided):
    """Against those that TensorFlow derives, and differences of the formula in float64."""
    random = np.random.default_rng(0)
    features = random.normal(size=(1, 4, 5, 7)).astype(np.float32)
    guide = random.random((4, 5, 1)).astype(np.float32) if guided else None
    positions = tf.constant(20.0 if guide is None else guide.sum(), tf.float32)
    weight, content, target = 3.0, None, None
    other = random.normal(size=features.shape).astype(np.float32)
    if cost.compares_positions:
        content = other
    else:  # the Gram matrix of something else, per position
        other = other.reshape(-1, 7)[:11]
        target = cost.target(tf.constant(other.T @ other / 11))

    activation = tf.constant(features)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(activation)
        sums = cost.sums(activation, content, guide)
        tape.watch(sums)
        mean = sums / positions
        value = weight * cost.value(mean, target)

    def formula(picture):
        return weight * formula_in_float64(cost, picture, other.astype(np.float64), guide)

    assert float(value) == pytest.approx(formula(features.astype(np.float64)), rel=1e-5)
    dsums = cost.dvalue(mean, target, weight, positions)
    np.testing.assert_allclose(dsums, tape.gradient(value, sums), rtol=1e-4, atol=1e-6)
    gradient = cost.gradient(activation, content, dsums, guide)
    derived = tape.gradient(value, activation)
    np.testing.assert_allclose(gradient, derived, rtol=1e-3, atol=1e-5)

    for direction in random.normal(size=(3, *features.shape)):
        costs = [formula(features + step * direction) for step in (1e-5, -1e-5)]
        slope = (costs[0] - costs[1]) / 2e-5
        assert np.sum(gradient * direction) == pytest.approx(slope, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize(
    ("positions", "error"), [(5, 1e-6), (1000, 1e-5), (5000, 4e-3), (9000, 4e-3)]
)
def test_gram_matrices_of_bfloat16_are_summed_in_float32(positions, error):
    random = np.random.default_rng(0)
    activation = tf.constant(random.random((1, 1, positions, 8)), tf.bfloat16)
    features = tf.cast(activation, tf.float64)[0, 0].numpy()
    np.testing.assert_allclose(gram_matrix(activation), features.T @ features, rtol=error)


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16, tf.float16])
@pytest.mark.parametrize("positions", [5, 9000])
def test_a_guided_gram_matrix_weighs_positions(dtype, positions):
    random = np.random.default_rng(0)
    activation = tf.constant(random.random((1, positions, 1, 8)), dtype)
    guide = random.random((positions, 1, 1)).astype(np.float32)
    features = tf.cast(activation, tf.float64)[0, :, 0].numpy()
    expected = features.T @ (features * guide[:, 0])
    error = 1e-5 if dtype != tf.bfloat16 else 1e-2
    np.testing.assert_allclose(gram_matrix(activation, tf.constant(guide)), expected, rtol=error)


@pytest.mark.parametrize("size", [(1, 1), (3, 4), (600, 5)])
def test_total_variation_is_its_formula(size):
    random = np.random.default_rng(0)
    image = random.uniform(0, 255, (*size, 3)).astype(np.float32)

    def variation(pixels):
        total = sum(np.abs(np.diff(pixels, axis=axis)).sum() for axis in (0, 1))
        return total / (size[0] * size[1])

    ones = tf.ones(image.shape)
    found, gradient = TotalVariation(5.0).add_gradient(tf.constant(image), ones)
    assert float(found) == pytest.approx(variation(image.astype(np.float64)), rel=1e-6)
    step, direction = 1e-6, random.normal(size=image.shape)
    up, down = (variation(image + sign * step * direction) for sign in (1, -1))
    slope = 5 * (up - down) / (2 * step)
    assert np.sum((gradient.numpy() - 1) * direction) == pytest.approx(slope, abs=1e-4)
    unweighted = TotalVariation(0.0).add_gradient(tf.constant(image), ones)
    assert unweighted[0] == found
    assert tf.reduce_all(unweighted[1] == 1)


def test_a_style_of_another_size_is_compared_per_position(vgg19, harbour):
    once = build_objective(harbour, harbour, vgg19)
    mirrored = np.concatenate([harbour, harbour[:, ::-1]], axis=1)
    twice = build_objective(harbour, mirrored, vgg19)
    assert len(once.style_means) == 5
    for key, mean in once.style_means.items():
        difference = np.linalg.norm(twice.style_means[key] - mean) / np.linalg.norm(mean)
        assert difference < 0.5  # the borders differ; without the division it would be above 1
    costs, _ = once(harbour)
    assert float(costs.total) == pytest.approx(0, abs=1e-2)


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_the_gradient_is_the_slope_of_the_cost(vgg19, temple, harbour, pooling):
    settings = Settings(tv_weight=1000, pooling=pooling, content_layers=["conv4_2", "conv2_2:0.1"])
    objective = build_objective(temple, harbour, vgg19, settings)
    assert_gradient(objective, start_image(inputs_of(temple, harbour), vgg19.mean, settings))


@pytest.mark.parametrize(("pooling", "how"), [("avg", np.mean), ("max", np.max)])
@pytest.mark.parametrize("padding", ["reflect", "zeros"])
@pytest.mark.parametrize("layers", [["conv1_1", "conv3_1:3"], ["conv1_2", "conv2_1", "conv3_1"]])
def test_cost_and_gradient_against_float64(vgg19, temple, harbour, pooling, how, padding, layers):
    options = Settings(
        content_layers=["conv2_2"], style_layers=layers, pooling=pooling, padding=padding
    )
    content, style = temple[20:33, 30:44], harbour[10:22, 40:51]
    assert_cost_and_gradient(vgg19, content, style, options, how)


# --- The start image and the loop ------------------------------------------------------------


@pytest.mark.parametrize("init", ["noisy_content", "content", "noise", "style"])
def test_start_images(temple, harbour, init):
    mean = np.array([123.68, 116.779, 103.939], np.float32)
    inputs = inputs_of(temple, harbour)
    image = start_image(inputs, mean, Settings(init=init, noise_ratio=0.6))
    assert image.shape == temple.shape
    assert image.dtype == np.float32
    assert (image == start_image(inputs, mean, Settings(init=init, noise_ratio=0.6))).all()
    noise = (image - mean - 0.4 * (temple - mean)) / 0.6
    if init == "noisy_content":
        assert np.abs(noise).max() <= 20.001
        assert noise.std() == pytest.approx(20 / np.sqrt(3), rel=0.02)
        other = start_image(inputs, mean, Settings(init=init, noise_ratio=0.6, seed=1))
        assert not (image == other).all()
    elif init == "content":
        np.testing.assert_allclose(image, temple, atol=1e-3)
    elif init == "noise":
        assert np.abs(image - mean).max() <= 20.001


def test_the_cost_of_a_step_is_the_cost_of_its_image(vgg19, temple, harbour):
    settings = Settings(epochs=3, precision="float32")
    steps = list(transfer_style(temple, harbour, vgg19, settings))
    assert [step.iteration for step in steps] == [0, 1, 2, 3]
    objective = build_objective(temple, harbour, vgg19, settings)
    for step in steps:
        costs, _ = objective(step.image)
        assert step.costs.total == pytest.approx(float(costs.total), rel=1e-5)
        assert step.image.shape == temple.shape
        assert step.image.min() >= 0
        assert step.image.max() <= 255


def test_adam_is_kerass_adam(vgg19, temple, harbour):
    settings = Settings(epochs=4, precision="float32", learning_rate=0.5)
    steps = list(transfer_style(temple, harbour, vgg19, settings))
    objective = build_objective(temple, harbour, vgg19, settings)
    image = tf.Variable(steps[0].image)
    adam = tf.keras.optimizers.Adam(0.5, epsilon=1e-8)
    for before, step in itertools.pairwise(steps):
        image.assign(before.image)  # a slope near 0 is not to make the two ways part
        _, gradient = objective(before.image)
        adam.apply_gradients([(tf.constant(gradient), image)])
        image.assign(tf.clip_by_value(image, 0, 255))
        np.testing.assert_allclose(image.numpy(), step.image, atol=2e-3)


@pytest.mark.parametrize(
    ("size", "settings"),
    [((1, 1), {}), ((1, 40), {}), ((33, 1), {"pooling": "max"}), ((17, 31), {"beta": 0})],
)
def test_any_size_can_be_painted(vgg19, temple, harbour, size, settings):
    content = temple[: size[0], : size[1]]
    settings = Settings(epochs=2, **settings)
    *_, last = transfer_style(content, harbour, vgg19, settings, evaluation=FLOAT32)
    assert last.image.shape == (*size, 3)
    assert np.isfinite(last.image).all()


def test_nothing_is_painted_outside_the_masks(vgg19, temple, harbour):
    """Far from the mask the style has no say: there the content stays."""
    mask = np.zeros(temple.shape[:2], np.float32)
    mask[:, :16] = 1
    settings = Settings(epochs=25, optimizer="lbfgs", init="content", precision="float32")
    *_, last = transfer_style(temple, harbour, vgg19, settings, content_masks=[mask])
    moved = np.abs(last.image - temple).mean(axis=(0, 2))
    assert moved[:16].mean() > 20
    assert moved[-1] < 1e-3  # farther than the deepest layer sees at 96 pixels: nothing moved it


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "style", "size"),
    [  # float16 is slow on processors without it: a smaller picture
        ("bfloat16", "starlit_harbour.jpg", 240),  # large enough for Gram matrices of blocks
        ("bfloat16", "woodcut_wave.jpg", 240),
        ("float16", "starlit_harbour.jpg", 60),
    ],
)
def test_short_dtypes_give_the_cost_and_gradient_of_float32(vgg19, dtype, style, size):
    """At the start image, and where a run ends, the cost being low there.

    Processors without bfloat16 cut digits off instead of rounding, which makes all of it smaller.
    """
    content = read_picture(ROOT / "images/temple.jpg", size).rgb
    style = read_picture(ROOT / "images" / style, size).rgb
    settings = Settings(epochs=8, optimizer="lbfgs")
    graphs = build_graphs(vgg19, settings, tf.dtypes.as_dtype(dtype))
    exact = build_objective(content, style, vgg19, settings)
    short = Objective(graphs, inputs_of(content, style))
    first, *_, last = transfer_style(content, style, vgg19, settings)
    assert last.costs.total < 0.1 * first.costs.total
    for step in (first, last):
        costs, gradient = exact(step.image)
        costs_short, gradient_short = short(step.image)
        assert gradient_short.dtype == np.float32
        assert float(costs_short.total) == pytest.approx(float(costs.total), rel=0.02)
        norm, norm_short = np.linalg.norm(gradient), np.linalg.norm(gradient_short)
        assert np.sum(gradient * gradient_short) / norm / norm_short > 0.999
        assert norm_short / norm == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_gradient_that_is_not_finite_ends_the_run(vgg19, temple, harbour, monkeypatch, optimizer):
    evaluate = objectives._evaluate_whole

    def broken(*arguments):
        costs, gradient = evaluate(*arguments)
        return costs, tf.concat([gradient[:1] * math.nan, gradient[1:]], axis=0)

    monkeypatch.setattr(objectives, "_evaluate_whole", broken)
    settings = Settings(optimizer=optimizer)
    with pytest.raises(DivergedError, match="iteration 0; use smaller weights"):
        next(transfer_style(temple, harbour, vgg19, settings, evaluation=FLOAT32))


@pytest.mark.parametrize(
    ("arguments", "settings", "word"),
    [
        ((None, "style"), {}, "content: give one"),
        (("content", []), {}, "style: give one"),
        (("content", []), {"beta": 0, "init": "style"}, "no style to start from"),
        (("content", "style"), {"init": "x.jpg"}, "x.jpg is a picture file"),
    ],
)
def test_calls_that_lack_a_picture_are_refused(vgg19, temple, harbour, arguments, settings, word):
    pictures = {"content": temple, "style": harbour}
    arguments = [pictures.get(name, name) if isinstance(name, str) else name for name in arguments]
    with pytest.raises(UsageError, match=word):
        next(transfer_style(*arguments, vgg19, Settings(**settings), evaluation=FLOAT32))


@pytest.mark.parametrize(
    "options", [{}, {"optimizer": "lbfgs", "tv_weight": 1.0, "style_loss": "moments"}]
)
def test_between_frames_nothing_of_the_pictures_size_comes_to_the_host_or_from_it(
    vgg19, temple, harbour, monkeypatch, options
):
    sizes = []
    tensor = type(tf.constant(0)).__mro__[1]
    to_host, to_device = tensor.numpy, tf.constant

    def record(array):
        sizes.append(np.size(array))
        return array

    monkeypatch.setattr(tensor, "numpy", lambda self: record(to_host(self)))
    monkeypatch.setattr(tf, "constant", lambda value, *args: to_device(record(value), *args))
    settings = Settings(epochs=6, **options)
    steps = transfer_style(temple, harbour, vgg19, settings, evaluation=FLOAT32)
    next(steps)
    assert max(sizes) >= temple.size  # the start image
    sizes.clear()
    *_, last = steps
    assert 0 < max(sizes) < 100
    assert last.image.shape == temple.shape
    assert max(sizes) == temple.size  # the frame that was asked for
