"""What is no weights file is named for what it is, before TensorFlow is loaded."""

import gzip
import io
import pickle
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

import nst_main
from nst.errors import WeightsError
from nst.vgg import weights

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 574673361\n"
CAFFE = b"\n\x17VGG_ILSVRC_19_layers\x12)\n\x05input" + bytes(range(256)) * 8


def made(save, *arguments, **options):
    """What a function writes to a file."""
    file = io.BytesIO()
    save(file, *arguments, **options)
    return file.getvalue()


def zipped(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def tarred():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("vgg19.pth"), io.BytesIO())
    return file.getvalue()


def picture(kind):
    return made(Image.new("RGB", (40, 30), "red").save, kind)


KINDS = {
    "page": ("net.mat", b"<!DOCTYPE html>\n<html><head><title>404", "a web page", "download it"),
    "page with a mark": ("net.h5", b"\xef\xbb\xbf\r\n <HTML>not here", "a web page", "download it"),
    "xml": ("net.h5", b'<?xml version="1.0"?><Error>AccessDenied', "a web page", "download it"),
    "json": ("net.pth", b'{"error": "rate limit"}', "a text file (JSON)", "download it"),
    "lfs": ("net.pth", POINTER.encode(), "a git-lfs pointer", "git lfs pull (the file has 574,"),
    "annex": ("net.h5", b"/annex/objects/MD5-s5--1.h5\n", "a git-annex pointer", "git annex get"),
    "matlab 7.3": (
        "net.mat",
        b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512) + b"\x89HDF\r\n\x1a\n" + b"\0" * 99,
        "a MATLAB 7.3 file",
        "'-v7'",
    ),
    "caffe": ("net.caffemodel", CAFFE, "a Caffe model", "PyTorch's .pth"),
    "prototxt": ("net.txt", b'name: "VGG19"\nlayers {\n', "a Caffe prototxt", "PyTorch's .pth"),
    "checkpoint": (
        "vgg_19.ckpt",
        b"\0\7conv1" + bytes(500) + 0xDB4775248B80FB57.to_bytes(8, "little"),
        "a TensorFlow checkpoint",
        "Keras' .h5",
    ),
    "checkpoint data": (
        "a.data-00000-of-00001",
        b"\x01\xfe" * 99,
        "a TensorFlow checkpoint",
        ".h5",
    ),
    "graph": ("saved_model.pb", b"\x08\x01\x12\xf1\xff", "a TensorFlow graph", "Keras' .h5"),
    "lite": ("net.tflite", b"\x1c\0\0\0TFL3" + bytes(90), "a TensorFlow Lite model", "Keras' .h5"),
    "lua": ("net.t7", b"\4\0\0\0\1\0\0\0\3\0\0\0V 1\r\0\0\0nn.S", "Lua Torch", "PyTorch's .pth"),
    "npy": ("net.npy", made(np.save, np.ones(3)), "a NumPy array file", "Keras' .h5"),
    "npz": ("net.npz", made(np.savez, a=np.ones(3)), "a NumPy archive", "Keras' .h5"),
    "pickle": ("net.pkl", pickle.dumps({"conv1_1": [1.5]}), "a pickle of Python", "state_dict()"),
    "zip": ("net.zip", zipped(**{"vgg19.h5": b"1"}), "a zip archive (with vgg19.h5)", "unpack it"),
    "half zip": ("net.pth", zipped(a=bytes(999))[:500], "ends early: 500 bytes", "download it"),
    "gzip": ("net.h5.gz", gzip.compress(b"1"), "a compressed file", "unpack it"),
    "tar": ("net.tar", tarred(), "a tar archive", "unpack it"),
    "png": ("net.png", picture("PNG"), "a picture", "--content_image_filename"),
    "jpeg": ("net.h5", picture("JPEG"), "a picture", "--content_image_filename"),
    "bmp": ("net.h5", picture("BMP"), "a picture", "--content_image_filename"),
    "webp": ("net.h5", picture("WEBP"), "a picture", "--content_image_filename"),
    "tiff": ("net.h5", picture("TIFF"), "a picture", "--content_image_filename"),
    "pdf": ("net.h5", b"%PDF-1.7\n\xe2\xe3\xcf\xd3\n" + bytes(99), "a PDF document", "weights"),
    "zeros": ("net.h5", bytes(4096), "an unfinished download", "download it"),
    "utf-16": ("net.h5", "hello".encode("utf-16"), "a text file", "weights"),
    "noise": ("net.h5", b"\xa7\x11\x93" * 500, "not a known kind", ".safetensors"),
    "empty": ("net.h5", b"", "empty (0 bytes)", "download it"),
}


@pytest.mark.parametrize(("name", "content", "what", "advice"), KINDS.values(), ids=KINDS)
def test_a_file_is_named_for_what_it_is(tmp_path, name, content, what, advice):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(WeightsError) as refusal:
        weights.check(str(path))
    message = str(refusal.value)
    assert message.startswith(f"{path}: is ")
    assert what in message
    assert advice in message
    assert "delete" not in message
    assert message.endswith("--model_path")
    assert "\n" not in message


def test_it_is_refused_before_tensorflow_is_loaded(nst, pair, tmp_path, monkeypatch):
    monkeypatch.setattr(nst_main, "load_tensorflow", lambda command: pytest.fail("loaded"))
    (tmp_path / "net.mat").write_bytes(b"<html>404")
    model = tmp_path / "saved"
    model.mkdir()
    (model / "saved_model.pb").touch()
    for path, words in ((tmp_path / "net.mat", "a web page"), (model, "a TensorFlow SavedModel")):
        done = nst(*pair, "--model_path", path)
        assert done.code == 4
        assert f"{path}: is {words}" in done.err
        assert done.err.count("\n") == 1
        assert not (tmp_path / "output").exists()
