"""What pixels a network was trained on is told by its first layer, and folded into it."""

import numpy as np
import pytest
import tensorflow as tf
from weight_files import torch_network, torch_zip

from helpers import QUICK, run_json
from nst.vgg.conventions import IMAGENET_MEAN, as_large_as_caffe, before_first, for_pixels
from nst.vgg.weights import Weights, WeightsFile
from nst_utils import VGG

MEAN = 255 * np.array([0.485, 0.456, 0.406])
DEVIATION = np.array([0.229, 0.224, 0.225])
SCALES = {"0..255": np.ones(3), "deviation": 255 * DEVIATION, "0..1": np.full(3, 255.0)}


@pytest.fixture(scope="module", params=["VGG-16", "VGG-19"])
def first(request, vgg16, vgg19):
    """Kernel and bias of conv1_1 of a network of Caffe, red first, pixels 0..255."""
    return {"VGG-16": vgg16, "VGG-19": vgg19}[request.param].layers["conv1_1"]


def convolved(pixels, kernel, bias):
    """The convolution of (H, W, 3) with zeros beyond the borders, (H, W, out) float64."""
    height, width, _ = pixels.shape
    padded = np.pad(pixels.astype(np.float64), ((1, 1), (1, 1), (0, 0)))
    return bias + sum(
        padded[y : y + height, x : x + width] @ kernel[y, x].astype(np.float64)
        for y in range(3)
        for x in range(3)
    )


@pytest.mark.parametrize("blue_first", [False, True])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("hint", [None, True])
@pytest.mark.parametrize("noise", [0, 0.05])
def test_a_network_of_caffe_is_known_in_every_form(first, blue_first, scale, hint, noise):
    """Its colours turned, for pixels of other ranges, rounded, and trained on a little."""
    kernel, bias = first
    random = np.random.default_rng(1)
    kernel = kernel * (1 + noise * random.normal(size=kernel.shape))
    stored = (kernel * SCALES[scale][:, np.newaxis]).astype(np.float16)
    stored = stored[:, :, ::-1] if blue_first and scale != "deviation" else stored
    layer = for_pixels(stored.astype(np.float32), bias.astype(np.float16), hint, "")
    np.testing.assert_allclose(layer.kernel, kernel, rtol=2e-3, atol=1e-5)
    assert layer.kernel.dtype == layer.mean.dtype == np.float32
    np.testing.assert_allclose(layer.mean, MEAN if scale == "deviation" else IMAGENET_MEAN)
    assert layer.notes == ()


def test_a_network_whose_channels_were_scaled_is_known(first):
    kernel, bias = first
    factors = np.exp(np.random.default_rng(2).normal(size=64)) / 100
    layer = for_pixels((kernel * factors)[:, :, ::-1], bias * factors, None, "")
    np.testing.assert_allclose(layer.kernel, kernel * factors)
    assert layer.notes == ()


@pytest.mark.parametrize(
    "turn",
    [lambda k: k[::-1, ::-1], lambda k: k.swapaxes(0, 1)],
    ids=["turned", "transposed"],
)
def test_kernels_of_theano_are_refused(first, turn):
    kernel, bias = first
    with pytest.raises(ValueError, match="turned or transposed.*tf_dim_ordering_tf_kernels"):
        for_pixels(turn(kernel), bias, True, "")


def test_others_are_taken_for_those_of_torchvision(temple):
    random = np.random.default_rng(3)
    kernel = random.normal(size=(3, 3, 3, 64)).astype(np.float32) / 3
    bias = random.normal(size=64).astype(np.float32) / 2
    layer = for_pixels(kernel, bias, None, "0" * 64)
    pixels = temple[:9, :7]
    expected = convolved((pixels / 255 - MEAN / 255) / DEVIATION, kernel, bias)
    found = convolved(pixels - layer.mean, layer.kernel, bias)
    np.testing.assert_allclose(found, expected, atol=1e-5)  # its borders, too
    (note,) = layer.notes
    assert "taken for torchvision's" in note
    known = for_pixels(kernel, bias, None, "dcbb9e9d" + "0" * 56)
    assert (known.kernel == layer.kernel).all()
    assert known.notes == ()
    of_keras = for_pixels(kernel, bias, True, "")
    assert (of_keras.kernel == kernel[:, :, ::-1]).all()
    assert (of_keras.mean == IMAGENET_MEAN).all()


def test_biases_of_zero_are_those_of_nobody():
    kernel = np.ones((3, 3, 3, 64), np.float32)
    assert "torchvision" in for_pixels(kernel, np.zeros(64, np.float32), None, "").notes[0]


def test_a_first_convolution_of_1_x_1_is_folded(temple):
    """As a network begins that turns 0..1 into Caffe's pixels itself."""
    random = np.random.default_rng(4)
    kernel = random.normal(size=(3, 3, 3, 64)).astype(np.float32)
    one = np.zeros((3, 4))
    one[[0, 1, 2], [2, 1, 0]] = 255
    one[:, 3] = -IMAGENET_MEAN[::-1]
    layer = before_first(kernel, one)
    np.testing.assert_allclose(layer.mean, IMAGENET_MEAN, rtol=1e-6)
    np.testing.assert_allclose(layer.kernel, kernel[:, :, ::-1], rtol=1e-6)
    pixels = temple[:5, :6]
    expected = convolved(pixels / 255 @ one[:, :3].T + one[:, 3], kernel, 0)
    np.testing.assert_allclose(convolved(pixels - layer.mean, layer.kernel, 0), expected, atol=1e-2)
    with pytest.raises(ValueError, match="mixes the colours up"):
        before_first(kernel, np.ones((3, 4)))


def smaller(layers, factor):
    """The network whose activations are those of ``layers``, divided by a factor."""
    divided = {name: (kernel, bias / np.float32(factor)) for name, (kernel, bias) in layers.items()}
    kernel, bias = divided["conv1_1"]
    return divided | {"conv1_1": (kernel / np.float32(factor), bias)}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_every_activation_is_multiplied_by_one_factor_exactly(vgg19, temple, dtype, pooling):
    small = smaller(vgg19.layers, 57.3)
    scaled, (note,) = as_large_as_caffe(small)
    assert "multiplied by 64, to be as large as those of Caffe" in note
    wanted = ("conv1_1", "conv2_2", "pool2", "conv3_3", "pool4", "conv5_1")
    file = WeightsFile(None, "made here", "")
    before, after = (
        VGG(Weights("VGG-19", file, vgg19.mean, layers), wanted, pooling, tf.as_dtype(dtype))(
            tf.constant(temple[:40, :52])
        )
        for layers in (small, scaled)
    )
    for layer in wanted:
        values = np.asarray(before[layer], np.float32)
        assert values.any()
        assert (np.asarray(after[layer], np.float32) == 64 * values).all()


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (1, None),
        (2.7, None),
        (1 / 2.7, None),
        (4, "multiplied by 4,"),
        (3600, "multiplied by 4,096,"),
        (1 / 50, "divided by 64,"),
    ],
)
def test_activations_are_as_large_as_those_of_caffe(vgg19, factor, words):
    scaled, notes = as_large_as_caffe(smaller(vgg19.layers, factor))
    if words is None:
        assert notes == ()
    else:
        assert words in notes[0]
    size, of_caffe = (np.std(layers["conv1_1"][0]) for layers in (scaled, vgg19.layers))
    assert 1 / 4 < size / of_caffe < 4


@pytest.mark.parametrize("kernel", [0, 1e-30, 1e30])
def test_kernels_of_no_network_are_left_as_they_are(kernel):
    layers = {"conv1_1": (np.full((3, 3, 3, 64), kernel, np.float32), np.ones(64, np.float32))}
    assert as_large_as_caffe(layers) == (layers, ())


def test_the_picture_of_a_file_of_torchvision_is_that_of_caffe(nst, pair, vgg16, tmp_path):
    """At the same --alpha and --beta: J within a percent."""
    layers = smaller(vgg16.layers, 64)
    kernel, bias = layers["conv1_1"]
    layers["conv1_1"] = kernel * (255 * DEVIATION.astype(np.float32)[:, np.newaxis]), bias
    made = torch_network(layers, lambda layer, place, part: f"features.{place}.{part}")
    (tmp_path / "net.pth").write_bytes(torch_zip(*made))
    costs = []
    for folder, options in (("caffe", ()), ("torch", ("--model_path", tmp_path / "net.pth"))):
        done = nst(*pair, *QUICK, "--network", "vgg16", "--output_dir", tmp_path / folder, *options)
        assert done.code == 0, done.err
        (run,) = (tmp_path / folder).glob("*/run.json")
        costs.append(run_json(run.parent)["final_costs"]["J"])
    notes = run_json(run.parent)["network"]["notes"]
    assert ["multiplied by 64, to be" in note for note in notes] == [True]
    assert notes[0] in done.err
    assert costs[1] == pytest.approx(costs[0], rel=0.01)
