"""Read the arrays of a file that Keras wrote, without Keras: .h5, .weights.h5 and .keras.

HDF5 is read by h5py. Keras' own reader would want a backend, its configuration (which may round
the numbers), and a name that ends as it expects.
"""

import functools
import io
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from nst.vgg.arrays import Arrays, DamagedError, NamedArray
from nst.vgg.layers import CONVOLUTIONS, convolutions

ARCHIVED = "model.weights.h5"  # in a .keras file, a zip archive
# Keras 3 names the layers of a model by class and order, not by their own names.
ORDERED = re.compile(r"(.*/)?conv2d(?:_(\d+))?/vars/([01])$")


def read_arrays(path: Path) -> Arrays:
    """The weights in a file by their paths in it; raises OSError and ValueError.

    Convolutions that Keras 3 only numbers get the names of the layers of VGG.
    """
    import h5py  # late: most runs do not need it

    source: Path | io.BytesIO = path
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(ARCHIVED).file_size > path.stat().st_size:
                raise ValueError(f"{ARCHIVED} in it is compressed, as Keras never does; unpack it")
            source = io.BytesIO(archive.read(ARCHIVED))
    arrays: Arrays = {}

    def note(name: str, item: Any) -> None:
        # The state of the optimizer has arrays of the same shapes.
        if isinstance(item, h5py.Dataset) and item.shape and not name.startswith("optimizer"):
            arrays[name] = NamedArray(item.shape, functools.partial(_values, source, name))

    try:
        with h5py.File(source) as file:
            file.visititems(note)
    except OSError as error:
        if end := re.search(r"eof = (\d+).*stored_eof = (\d+)", str(error)):
            found, expected = map(int, end.groups())
            raise DamagedError(f"it ends early: {found:,} bytes, {expected:,} expected") from None
        raise ValueError(str(error)) from None
    return _with_names_of_vgg(arrays)


def _values(source: Path | io.BytesIO, name: str) -> np.ndarray:
    import h5py

    with h5py.File(source) as file:
        return file[name][()]


def _with_names_of_vgg(arrays: Arrays) -> Arrays:
    """The arrays with the convolutions of Keras 3 by name, if their number is that of a VGG."""
    found: dict[int, dict[str, NamedArray]] = {}
    for name, array in arrays.items():
        if match := ORDERED.match(name):
            kind = {"0": "kernel", "1": "bias"}[match[3]]
            if found.setdefault(int(match[2] or 0), {}).setdefault(kind, array) is not array:
                raise ValueError("it holds more than one network")
    for network, counts in CONVOLUTIONS.items():
        if len(found) == sum(counts):
            for layer, (_, parts) in zip(convolutions(network), sorted(found.items())):
                arrays = arrays | {f"{layer}/{kind}": array for kind, array in parts.items()}
    return arrays
