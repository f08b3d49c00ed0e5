"""Read the tensors of a file that PyTorch wrote, without PyTorch.

The older kind of file (``torch.save`` before 1.6): a pickle each of a magic number, the protocol and
the sizes of types, then of the named tensors, then of the keys of their storages; after these, for
each key in turn, the number of values and the values.
"""

import collections
import pickle
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib.stride_tricks import as_strided

MAGIC = 0x1950A86A20F9469CFC6C
STORAGES = {"ByteStorage": np.uint8, "FloatStorage": np.float32, "LongStorage": np.int64}


class _Storage:
    """Values that are read after the tensors that look at them. values: (count,)."""

    def __init__(self, dtype: Any, count: int) -> None:
        self.dtype, self.count = np.dtype(dtype).newbyteorder("<"), count
        self.values = np.empty(0, self.dtype)


class _Tensor:
    """A view of a storage."""

    def __init__(self, storage: _Storage, offset: int, shape: tuple, strides: tuple, *_: Any):
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def array(self) -> np.ndarray:
        """A copy of its values; raises ValueError for a view beyond its storage."""
        values = self.storage.values
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides))
        if min(self.offset, *self.shape, *self.strides, 0) < 0 or last >= len(values):
            raise ValueError("a tensor does not fit its storage")
        strides = [step * values.itemsize for step in self.strides]
        return as_strided(values[self.offset :], self.shape, strides, writeable=False).copy()


class _Unpickler(pickle.Unpickler):
    """Knows tensors and their storages; a pickle may ask for any function, so others are refused."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Tensor
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, count, view = pid
        if kind != "storage" or dtype not in STORAGES.values() or view is not None:
            raise pickle.UnpicklingError("it holds more than tensors")
        return self.storages.setdefault(key, _Storage(dtype, count))


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Return the named tensors of a file; raises ValueError, or UnpicklingError, for others."""
    with open(path, "rb") as file:
        magic, *_ = (_Unpickler(file).load() for _ in range(3))
        if magic != MAGIC:
            raise ValueError("it is no file of PyTorch")
        unpickler = _Unpickler(file)
        tensors = unpickler.load()
        for key in _Unpickler(file).load():
            storage = unpickler.storages[key]
            count = int.from_bytes(file.read(8), "little")
            data = file.read(count * storage.dtype.itemsize) if count == storage.count else b""
            if len(data) != storage.count * storage.dtype.itemsize:
                raise ValueError("it ends before its last tensor")
            storage.values = np.frombuffer(data, storage.dtype)
    return {str(name): tensor.array() for name, tensor in tensors.items()}
