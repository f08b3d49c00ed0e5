"""The graph, the costs and the gradient, against independent computations on real weights."""

import numpy as np
import pytest
import tensorflow as tf

from conftest import ROOT
from nst import images, precision
from nst.costs import gram_matrix, gram_slope, squared_distance, style_layer_cost, style_slope
from nst.pictures import Pictures
from nst.settings import Settings
from nst.vgg import VGG
from nst_utils import build_objective, start_image, transfer_style


def of(content, style):
    """What a content and a style are to the algorithm."""
    return Pictures(content.shape[:2], content, (style,))


def assert_slope(objective, image):
    """Check the gradient against differences of the cost, along itself and a random direction."""
    _, gradient = objective(image)
    gradient = gradient.astype(np.float64)
    random = np.random.default_rng(1)
    for direction in (gradient / np.linalg.norm(gradient), random.normal(size=image.shape)):
        step = 0.3 / np.abs(direction).max()
        up, _ = objective((image + step * direction).astype(np.float32))
        down, _ = objective((image - step * direction).astype(np.float32))
        slope = (up.total - down.total) / (2 * step)
        scale = np.linalg.norm(gradient) * np.linalg.norm(direction)
        assert slope == pytest.approx(np.sum(gradient * direction), abs=5e-3 * scale)


BLOCKS = [["conv1_1", "conv1_2"], ["conv2_1", "conv2_2"], ["conv3_1"]]


def convolve(x, kernel, bias):
    """A 3 x 3 convolution with zero padding and a ReLU, in NumPy, float64."""
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


@pytest.mark.parametrize(("pooling", "how"), [("avg", np.mean), ("max", np.max)])
@pytest.mark.parametrize("size", [(13, 10), (8, 16), (1, 7)])
def test_the_graph_computes_vgg(vgg16, temple, pooling, how, size):
    image = temple[: size[0], : size[1]]
    activations = VGG(vgg16, ("conv1_2", "conv2_1", "conv3_1"), pooling)(tf.constant(image))
    x = image.astype(np.float64) - vgg16.mean
    for block, layers in enumerate(BLOCKS):
        if block:
            x = pool(x, how)
        for layer in layers:
            x = convolve(x, *vgg16.layers[layer])
            if layer in activations:
                assert activations[layer].shape == (1, *x.shape)
                np.testing.assert_allclose(activations[layer][0], x, rtol=1e-4, atol=1e-2)


def test_the_graph_stops_at_the_deepest_layer(vgg16):
    assert VGG(vgg16, ("conv2_2", "conv1_1")).layers[-1] == "conv2_2"
    assert VGG(vgg16, ("pool3",)).layers[-1] == "pool3"


def test_costs_are_the_formulas_of_the_paper():
    random = np.random.default_rng(0)
    content = random.normal(size=(1, 3, 5, 7)).astype(np.float32)
    generated = random.normal(size=(1, 3, 5, 7)).astype(np.float32)
    expected = np.sum((content - generated) ** 2)
    assert float(squared_distance(content, generated)) == pytest.approx(expected, rel=1e-5)

    gram_s = np.einsum("bhwi,bhwj->ij", content, content)
    gram_g = np.einsum("bhwi,bhwj->ij", generated, generated)
    np.testing.assert_allclose(gram_matrix(tf.constant(content)), gram_s, rtol=1e-4, atol=1e-4)
    expected = np.sum((gram_s - gram_g) ** 2) / (4 * 7**2 * (3 * 5) ** 2)
    cost = style_layer_cost(tf.constant(gram_s / 15), tf.constant(gram_g / 15))
    assert float(cost) == pytest.approx(expected, rel=1e-4)


def test_the_slope_of_the_style_cost_is_what_tensorflow_derives():
    random = np.random.default_rng(0)
    target = tf.constant(random.normal(size=(7, 7)).astype(np.float32))
    activation = tf.constant(random.normal(size=(1, 3, 5, 7)).astype(np.float32))
    with tf.GradientTape() as tape:
        tape.watch(activation)
        cost = style_layer_cost(target, gram_matrix(activation) / 15)
    slope = gram_slope(target, gram_matrix(activation) / 15, 15)
    symmetric = (slope + tf.transpose(slope)) / 2  # the target here is not; a Gram matrix is
    derived = tape.gradient(cost, activation)
    np.testing.assert_allclose(style_slope(activation, symmetric), derived, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("positions", "error"), [(5, 1e-6), (5000, 1e-5), (9000, 2e-3)])
def test_gram_matrices_of_bfloat16_are_summed_in_float32(positions, error):
    random = np.random.default_rng(0)
    activation = tf.constant(random.random((1, 1, positions, 8)), tf.bfloat16)
    features = tf.cast(activation, tf.float64)[0, 0].numpy()
    np.testing.assert_allclose(gram_matrix(activation), features.T @ features, rtol=error)


def test_a_style_of_another_size_is_compared_per_position(vgg16, harbour):
    once = build_objective(harbour, harbour, vgg16)
    mirrored = np.concatenate([harbour, harbour[:, ::-1]], axis=1)
    twice = build_objective(harbour, mirrored, vgg16)
    for layer, target in once.style_targets.items():
        difference = np.linalg.norm(twice.style_targets[layer] - target) / np.linalg.norm(target)
        assert difference < 0.5  # the borders differ; without the division it would be above 1
    costs, _ = once(harbour)
    assert float(costs.total) == pytest.approx(0, abs=1e-2)


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_the_gradient_is_the_slope_of_the_cost(vgg16, temple, harbour, pooling):
    settings = Settings(tv_weight=1000, pooling=pooling, content_layers=["conv4_2", "conv2_2:0.1"])
    objective = build_objective(temple, harbour, vgg16, settings)
    image = start_image(of(temple, harbour), vgg16.mean, settings)
    assert_slope(objective, image)


def cost_in_float64(network, image, content, style, options, how):
    """J of an image by NumPy alone: layers conv1_1, conv2_1 and conv3_1, float64."""

    def activations(picture):
        x, found = picture.astype(np.float64) - network.mean, {}
        for block, layers in enumerate(BLOCKS):
            if block:
                x = pool(x, how)
            for layer in layers:
                x = found[layer] = convolve(x, *network.layers[layer])
        return found

    def gram(x):
        features = x.reshape(-1, x.shape[-1])
        return features.T @ features / len(features)

    of_image, of_content, of_style = map(activations, (image, content, style))
    total = 0.0
    for layer, weight in options.content_layers:
        total += options.alpha * weight * np.mean((of_image[layer] - of_content[layer]) ** 2) / 4
    for layer, weight in options.style_layers:
        difference = gram(of_image[layer]) - gram(of_style[layer])
        total += options.beta * weight * np.mean(difference**2) / 4
    return total


@pytest.mark.parametrize(("pooling", "how"), [("avg", np.mean), ("max", np.max)])
def test_cost_and_gradient_against_float64(vgg16, temple, harbour, pooling, how):
    options = Settings(
        content_layers=["conv2_2"], style_layers=["conv1_1", "conv3_1:3"], pooling=pooling
    )
    content, style = temple[20:33, 30:44], harbour[10:22, 40:51]
    random = np.random.default_rng(0)
    image = np.clip(content + random.normal(scale=20, size=content.shape), 0, 255)
    image = image.astype(np.float32)
    costs, gradient = build_objective(content, style, vgg16, options)(image)

    def cost(picture):
        return cost_in_float64(vgg16, picture, content, style, options, how)

    assert costs.total == pytest.approx(cost(image), rel=1e-5)
    image, gradient = image.astype(np.float64), gradient.astype(np.float64)
    norm = np.linalg.norm(gradient)
    for direction in (gradient / norm, random.normal(size=image.shape)):
        step = 1e-4 / np.abs(direction).max()
        slope = (cost(image + step * direction) - cost(image - step * direction)) / (2 * step)
        tolerance = 1e-5 * norm * np.linalg.norm(direction)
        assert np.sum(gradient * direction) == pytest.approx(slope, abs=tolerance)


def test_the_cost_of_a_step_is_the_cost_of_its_image(vgg16, temple, harbour):
    settings = Settings(epochs=3, precision="float32")
    steps = list(transfer_style(temple, harbour, vgg16, settings))
    assert [step.iteration for step in steps] == [0, 1, 2, 3]
    objective = build_objective(temple, harbour, vgg16, settings)
    for step in steps:
        costs, _ = objective(step.image)
        assert step.costs.total == pytest.approx(float(costs.total), rel=1e-5)
        assert step.image.shape == temple.shape
        assert step.image.min() >= 0
        assert step.image.max() <= 255


def test_adam_is_kerass_adam(vgg16, temple, harbour):
    settings = Settings(epochs=4, precision="float32", learning_rate=0.5)
    steps = list(transfer_style(temple, harbour, vgg16, settings))
    objective = build_objective(temple, harbour, vgg16, settings)
    image = tf.Variable(steps[0].image)
    adam = tf.keras.optimizers.Adam(0.5, epsilon=1e-8)
    for step in steps[1:]:
        _, gradient = objective(image.numpy())
        adam.apply_gradients([(tf.constant(gradient), image)])
        image.assign(tf.clip_by_value(image, 0, 255))
        np.testing.assert_allclose(image.numpy(), step.image, atol=2e-3)


@pytest.mark.parametrize("init", ["noisy_content", "content", "noise", "style"])
def test_start_images(temple, harbour, init):
    mean = np.array([123.68, 116.779, 103.939], np.float32)
    image = start_image(of(temple, harbour), mean, Settings(init=init))
    assert image.shape == temple.shape
    assert image.dtype == np.float32
    assert (image == start_image(of(temple, harbour), mean, Settings(init=init))).all()
    noise = (image - mean - 0.4 * (temple - mean)) / 0.6
    if init == "noisy_content":
        assert np.abs(noise).max() <= 20.001
        assert noise.std() == pytest.approx(20 / np.sqrt(3), rel=0.02)
        other = start_image(of(temple, harbour), mean, Settings(init=init, seed=1))
        assert not (image == other).all()
    elif init == "content":
        np.testing.assert_allclose(image, temple, atol=1e-3)
    elif init == "noise":
        assert np.abs(image - mean).max() <= 20.001


@pytest.mark.parametrize(
    ("size", "settings"),
    [((1, 1), {}), ((1, 40), {}), ((33, 1), {"pooling": "max"}), ((17, 31), {"beta": 0})],
)
def test_any_size_can_be_painted(vgg16, temple, harbour, size, settings):
    content = temple[: size[0], : size[1]]
    steps = list(transfer_style(content, harbour, vgg16, Settings(epochs=2, **settings)))
    assert steps[-1].image.shape == (*size, 3)
    assert np.isfinite(steps[-1].image).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "style", "size"),
    [  # float16 is slow on processors without it: a smaller picture
        ("bfloat16", "starlit_harbour.jpg", 400),
        ("bfloat16", "woodcut_wave.jpg", 400),
        ("float16", "starlit_harbour.jpg", 100),
    ],
)
def test_short_number_types_give_the_cost_and_gradient_of_float32(vgg16, dtype, style, size):
    content = images.read(ROOT / "images/temple.jpg", size).rgb
    style = images.read(ROOT / "images" / style, size).rgb
    settings = Settings(epochs=50)
    chosen = precision.choose(dtype)
    exact = build_objective(content, style, vgg16, settings)
    short = build_objective(content, style, vgg16, settings, dtype=chosen.dtype)
    for step in transfer_style(content, style, vgg16, settings, chosen=chosen):
        if step.iteration in (0, settings.epochs):
            costs, gradient = exact(step.image)
            costs_short, gradient_short = short(step.image)
            assert gradient_short.dtype == np.float32
            assert float(costs_short.total) == pytest.approx(float(costs.total), rel=0.01)
            norm, norm_short = np.linalg.norm(gradient), np.linalg.norm(gradient_short)
            assert np.sum(gradient * gradient_short) / norm / norm_short > 0.999
            assert norm_short / norm == pytest.approx(1, abs=0.02)


def test_auto_says_which_precision_it_chose_and_why():
    chosen = precision.choose("auto")
    assert chosen.dtype in (tf.float32, tf.bfloat16)
    assert "times as fast" in chosen.reason
