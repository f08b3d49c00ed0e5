"""Read the tensors of a file that PyTorch wrote, without PyTorch.

The older kind of file (``torch.save`` before 1.6): a pickle each of a magic number, the protocol
and the sizes of types, then of the named tensors, then of the keys of their storages; after these,
for each key in turn, the number of values and the values.

A pickle may ask for any function, and for any amount of memory. These are short, are read only if
they consist of the few operations that such a file needs, and get three names and nothing else.
"""

import collections
import io
import os
import pickle
import pickletools
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib.stride_tricks import as_strided

MAGIC = 0x1950A86A20F9469CFC6C
STORAGES: dict[str, np.dtype[Any]] = {
    "ByteStorage": np.dtype("u1"),
    "FloatStorage": np.dtype("<f4"),
    "LongStorage": np.dtype("<i8"),
}
PICKLES = 65_536  # bytes of all pickles together, at most; those of a VGG-19 take 6,000
MEMO = 10_000  # largest index under which a pickle keeps an object; memory is taken for all below
OPERATIONS = frozenset(
    (
        *("PROTO", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "LONG1", "BINUNICODE"),
        *("BININT", "BININT1", "BININT2", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
        *("EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_DICT", "SETITEM", "SETITEMS"),
        *("BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET", "GLOBAL", "REDUCE", "BUILD"),
        "BINPERSID",
    )
)


class _Storage:
    """Values that are read after the tensors that look at them. values: (count,)."""

    __slots__ = ("count", "dtype", "values")

    def __init__(self, dtype: np.dtype, count: int) -> None:
        self.dtype, self.count = dtype, count
        self.values = np.empty(0, dtype)


class _Tensor:
    """A view of a storage."""

    __slots__ = ("offset", "shape", "storage", "strides")  # a pickle cannot replace ``array``

    def __init__(self, storage: _Storage, offset: int, shape: tuple, strides: tuple, *_: Any):
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def array(self) -> np.ndarray:
        """Its values, which cannot be changed; raises ValueError for a view beyond its storage."""
        if not isinstance(self.storage, _Storage) or not _counts(
            self.offset, *self.shape, *self.strides
        ):
            raise ValueError("a tensor is not described by a storage and by numbers")
        values = self.storage.values
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides))
        if (
            len(self.shape) != len(self.strides)
            or 0 in (*self.shape, *self.strides)
            or last >= len(values)
        ):
            raise ValueError("a tensor does not fit its storage")
        strides = [step * values.itemsize for step in self.strides]
        return as_strided(values[self.offset :], self.shape, strides, writeable=False)


def _counts(*values: Any) -> bool:
    """Whether all of some values are whole numbers that an index may have."""
    return all(type(value) is int and 0 <= value < 2**48 for value in values)


class _Unpickler(pickle.Unpickler):
    """Knows tensors and their storages."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        # Functions of its own, as a pickle may set the attributes of what it gets.
        if (module, name) == ("collections", "OrderedDict"):
            return lambda *items: collections.OrderedDict(*items)
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda *arguments: _Tensor(*arguments)
        if module == "torch" and name in STORAGES:
            return name
        raise ValueError(f"it asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, count, view = pid
        known = kind == "storage" and dtype in STORAGES and isinstance(key, str)
        if not known or not _counts(count) or view is not None:
            raise ValueError("it holds more than tensors")
        return self.storages.setdefault(key, _Storage(STORAGES[dtype], count))


def _checked(head: BinaryIO) -> _Unpickler:
    """What reads the next pickle, of which every operation is known."""
    start = head.tell()
    for operation, argument, _ in pickletools.genops(head):
        if operation.name not in OPERATIONS:
            raise ValueError(f"it holds more than tensors ({operation.name})")
        if operation.name == "LONG_BINPUT" and (argument or 0) > MEMO:
            raise ValueError("it is longer than the tensors of a network need")
    head.seek(start)
    return _Unpickler(head)


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Return the named tensors of a file; raises ValueError for all others, whatever is in them."""
    try:
        with open(path, "rb") as file:
            return _read(file)
    except (OSError, MemoryError, ValueError):
        raise
    except Exception as error:  # a damaged pickle raises almost anything
        raise ValueError(f"it is damaged: {type(error).__name__}") from error


def _read(file: BinaryIO) -> dict[str, np.ndarray]:
    head = io.BytesIO(file.read(PICKLES))
    magic, *_ = (_checked(head).load() for _ in range(3))
    if magic != MAGIC:
        raise ValueError("it is no file of PyTorch")
    unpickler = _checked(head)
    tensors = unpickler.load()
    keys = _checked(head).load()
    file.seek(head.tell())
    left = os.fstat(file.fileno()).st_size - head.tell()
    for key in keys:
        storage = unpickler.storages[key]
        count, size = int.from_bytes(file.read(8), "little"), storage.count * storage.dtype.itemsize
        left -= 8 + size
        if count != storage.count or left < 0:
            raise ValueError("it ends before its last tensor, or its counts differ")
        storage.values = np.frombuffer(file.read(size), storage.dtype)
    return {str(name): tensor.array() for name, tensor in tensors.items()}
