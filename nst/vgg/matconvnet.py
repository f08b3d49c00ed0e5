"""Read MatConvNet's networks, .mat files of MATLAB 5 to 7, in all of their layouts.

- SimpleNN: ``layers``, a list of structures with ``weights``, or in the beta ``filters`` and
  ``biases``;
- DagNN, saved as a structure: ``params`` with ``name`` and ``value``.

Either may stand at top level or in a variable ``net``; the mean pixel stands in
``meta.normalization`` or, earlier, in ``normalization``. Kernels are (height, width, in, out), and
the input is red first.
"""

import os
import struct
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nst.vgg.arrays import DamagedError, Layers, NamedArray, Network
from nst.vgg.conventions import IMAGENET_MEAN
from nst.vgg.layers import CONVOLUTIONS, convolutions
from nst.vgg.named_layers import find_layers, wrong_count


def read_matconvnet(path: Path) -> Network:
    """Read a network; raises almost anything for a damaged file."""
    import scipy.io

    _check_length(path)
    contents = scipy.io.loadmat(path, squeeze_me=True, struct_as_record=False)
    objects = scipy.io.matlab.MatlabOpaque, scipy.io.matlab.MatlabFunction
    if isinstance(contents.get("net"), objects):
        raise ValueError("it holds an object of MATLAB; save the structure net.saveobj() instead")
    net = _fields(contents["net"]) if "net" in contents else contents
    if "layers" not in net and "params" not in net:
        names = ", ".join(name for name in net if not name.startswith("__"))
        raise ValueError(f"it is no network of MatConvNet: it holds {names[:80] or 'nothing'}")
    layers = _dag_layers(net) if "params" in net else _simple_layers(net)
    meta = _fields(net["meta"]) if "meta" in net else net
    mean, notes = _mean(_fields(meta.get("normalization")))
    return Network(mean, layers, notes)


def _check_length(path: Path) -> None:
    """Raise DamagedError if the file ends before its last variable does."""
    with open(path, "rb") as file:
        size, place = os.fstat(file.fileno()).st_size, 128
        order = ">" if file.read(128)[126:128] == b"MI" else "<"
        while place < size:
            file.seek(place)
            tag = file.read(8)
            place += 8 + (struct.unpack(f"{order}4xI", tag)[0] if len(tag) == 8 else 0)
    if place > size or size <= 128:
        raise DamagedError(f"it ends early: {size:,} bytes, at least {max(place, 136):,} expected")


def _fields(structure: Any) -> dict[str, Any]:
    """The fields of a structure; {} for anything else."""
    return {name: getattr(structure, name) for name in getattr(structure, "_fieldnames", ())}


def _simple_layers(net: dict[str, Any]) -> Layers:
    """Layers of SimpleNN: by their names, or in order if they have none."""
    known, named, ordered = convolutions("VGG-19"), {}, []
    for layer in map(_fields, np.atleast_1d(net["layers"])):
        pair = layer.get("weights", (layer.get("filters"), layer.get("biases")))
        if len(pair) != 2 or np.ndim(pair[0]) != 4:
            continue  # not a convolution, or one of the classifier
        kernel, bias = (np.asarray(array, np.float32) for array in pair)
        if str(layer.get("name")) in known:
            named[str(layer["name"])] = kernel, bias.reshape(-1)
        if kernel.shape[:2] == (3, 3):
            ordered.append((kernel, bias.reshape(-1)))
    for network, counts in CONVOLUTIONS.items():
        if not named and len(ordered) == sum(counts):
            return dict(zip(convolutions(network), ordered))
    if not named:
        raise ValueError(wrong_count(len(ordered)))
    return named


def _dag_layers(net: dict[str, Any]) -> Layers:
    """Layers of DagNN: the names of its parameters begin with those of the layers."""
    arrays = {}
    for parameter in map(_fields, np.atleast_1d(net["params"])):
        value = np.asarray(parameter["value"])
        arrays[str(parameter["name"])] = NamedArray(value.shape, partial(np.asarray, value))
    return find_layers(arrays)[0]


def _mean(normalization: dict[str, Any]) -> tuple[np.ndarray, tuple[str, ...]]:
    """The mean pixel, (3,), and a note if the file has none."""
    mean = np.asarray(normalization.get("averageImage", ()), np.float64)
    if not mean.size:
        return IMAGENET_MEAN, ("the file has no mean pixel; that of ImageNet was taken",)
    if mean.size == 1:  # the same for each colour
        mean = np.full(3, mean.item())
    mean = mean.reshape(-1, mean.shape[-1]).mean(axis=0)  # over the positions of an image, if any
    return mean.astype(np.float32), ()
