"""Read the tensors of a file that PyTorch wrote, without PyTorch.

Since 1.6 ``torch.save`` writes a zip archive: a pickle of the named tensors, ``data.pkl``, and a
member for each of their storages. Before that: a pickle each of a magic number, the protocol and
the sizes of types, then of the named tensors, then of the keys of their storages; after these, for
each key in turn, the number of values and the values.
"""

import contextlib
import errno
import functools
import io
import os
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nst.vgg.arrays import Arrays, DamagedError, NamedArray, decode, item_size, view
from nst.vgg.torch_pickle import LONGEST, Tensor, TorchUnpickler, flatten

MAGIC = 0x1950A86A20F9469CFC6C
STREAM = pickle.dumps(MAGIC, 2)  # how the older kind of file begins


def read_tensors(path: Path) -> Arrays:
    """The named tensors of a file; raises OSError, and ValueError whatever else is in it."""
    with _damage_refused():
        with open(path, "rb") as file:
            read = _read_zip if file.read(2) == b"PK" else _read_stream
        tensors, storage_values = read(path)
    cached = functools.cache(storage_values)  # many tensors may look at one storage
    arrays = {}
    for name, tensor in flatten(tensors).items():
        arrays[name] = NamedArray(tensor.shape, functools.partial(_values, tensor, cached))
    if not arrays:
        raise ValueError("it holds no named tensors")
    return arrays


@contextlib.contextmanager
def _damage_refused() -> Iterator[None]:
    """Turn whatever a damaged pickle or archive raises into DamagedError."""
    try:
        yield
    except (MemoryError, ValueError):
        raise
    except Exception as error:
        # EINVAL: a seek to where a wrong number points.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        raise DamagedError(f"it is damaged ({type(error).__name__}: {error})") from error


def _values(tensor: Tensor, storage_values: Callable[[str], np.ndarray]) -> np.ndarray:
    values = storage_values(tensor.storage.key)
    return view(values, tensor.storage.start + tensor.offset, tensor.shape, tensor.strides)


def _read_zip(path: Path) -> tuple[Any, Callable[[str], np.ndarray]]:
    """The content of the zip archive, and a function from a storage's key to its values."""
    with zipfile.ZipFile(path) as archive:
        members = {member.filename: member for member in archive.infolist()}
        (pickled,) = (name for name in members if name.split("/")[1:] == ["data.pkl"])
        folder = pickled.removesuffix("data.pkl")
        if f"{folder}constants.pkl" in members:
            raise ValueError(
                "it is a TorchScript program, which would have to be run; save model.state_dict() "
                "instead"
            )
        if any(member.compress_type != zipfile.ZIP_STORED for member in members.values()):
            raise ValueError("its members are compressed, as PyTorch never does; unpack it")
        if members[pickled].file_size > LONGEST:
            raise ValueError("it is longer than the tensors of a network need")
        order = f"{folder}byteorder"
        if order in members and archive.read(order) != b"little":
            raise ValueError("its numbers are big-endian; save it on another machine")
        unpickler = TorchUnpickler(io.BytesIO(archive.read(pickled)))
        tensors = unpickler.load()
    for key, (dtype, count) in unpickler.storages.items():
        member = members.get(f"{folder}data/{key}")
        if member is None or member.file_size != count * item_size(dtype):
            raise DamagedError(f"storage {key} is missing, or of another size than its tensors")
        if member.file_size > path.stat().st_size:
            raise DamagedError("it ends before its last tensor")

    def storage_values(key: str) -> np.ndarray:
        with _damage_refused(), zipfile.ZipFile(path) as archive:
            return decode(archive.read(f"{folder}data/{key}"), unpickler.storages[key][0])

    return tensors, storage_values


def _read_stream(path: Path) -> tuple[Any, Callable[[str], np.ndarray]]:
    """The content of the older kind of file, and a function from a key to its values."""
    with open(path, "rb") as file:
        head = io.BytesIO(file.read(LONGEST))
        magic, _, sizes = (TorchUnpickler(head).load() for _ in range(3))
        if magic != MAGIC:
            raise ValueError("it is no file of PyTorch")
        if isinstance(sizes, dict) and not sizes.get("little_endian", True):
            raise ValueError("its numbers are big-endian; save it on another machine")
        unpickler = TorchUnpickler(head)
        tensors = unpickler.load()
        keys = TorchUnpickler(head).load()
        size = os.fstat(file.fileno()).st_size
        places, place = {}, head.tell()
        for key in keys:
            dtype, count = unpickler.storages[key]
            file.seek(place)
            written = int.from_bytes(file.read(8), "little")
            places[key] = place + 8, dtype, count * item_size(dtype)
            place += 8 + count * item_size(dtype)
            if place <= size and written != count:
                raise DamagedError("the sizes of its storages differ")
    if place > size:
        raise DamagedError(f"it ends early: {size:,} bytes, at least {place:,} expected")
    if unpickler.storages.keys() - places.keys():
        raise DamagedError("it lacks the values of some tensors")

    def storage_values(key: str) -> np.ndarray:
        start, dtype, length = places[key]
        with open(path, "rb") as file:
            file.seek(start)
            return decode(file.read(length), dtype)

    return tensors, storage_values
