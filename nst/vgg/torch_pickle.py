"""The pickles of PyTorch's files, read without PyTorch.

A pickle may ask for any function, and for any amount of memory. These are short, are read only if
they consist of the few operations that tensors need, and get the few names below and nothing else.
"""

import collections
import pickle
import pickletools
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

from nst.vgg.arrays import BFLOAT16

DTYPES = {  # of torch.*Storage
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
LONGEST = 300_000  # bytes of all pickles of a file together; those of a VGG-19 take 6,000
MEMO = 100_000  # largest index under which an object is kept; memory is taken for all below
TUPLES = 10_000  # in a pickle, at most: deeply nested ones exhaust the stack
DIMENSIONS = 8  # of a tensor, at most
OPERATIONS = frozenset(
    (
        *("PROTO", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "LONG1", "BINFLOAT"),
        *("BINUNICODE", "BINSTRING", "SHORT_BINSTRING"),  # the last two: of Python 2
        *("BININT", "BININT1", "BININT2", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
        *("EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_DICT", "SETITEM", "SETITEMS"),
        *("BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET", "GLOBAL", "REDUCE", "BUILD"),
        "BINPERSID",
    )
)


# What a pickle may ask for, each time a function of its own, as it may set the attributes of that.
NAMES: dict[tuple[str, str], Callable[[], Callable]] = {
    ("collections", "OrderedDict"): lambda: lambda *items: collections.OrderedDict(*items),
    ("torch._utils", "_rebuild_tensor_v2"): lambda: lambda *parts: _tensor(*parts),
    ("torch._utils", "_rebuild_tensor"): lambda: lambda *parts: _tensor(*parts),  # before 0.4
    ("torch._utils", "_rebuild_parameter"): lambda: lambda tensor, *_: tensor,
    ("torch", "Size"): lambda: lambda lengths: tuple(lengths),
}


class Storage(NamedTuple):
    """Values that tensors look at.

    dtype: as in ``arrays.decode``. size: their number. start: the first, in the storage ``key``.
    """

    key: str
    dtype: str
    size: int
    start: int = 0


class Tensor(NamedTuple):
    """A view of a storage; offset and strides are counted in values."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class TorchUnpickler(pickle.Unpickler):
    """Knows tensors and their storages.

    storages: {key: (dtype, number of values)} of those that were named.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Prepare to read the next pickle; raises ValueError for an operation that is unknown."""
        check(file)
        super().__init__(file)
        self.storages: dict[str, tuple[str, int]] = {}

    def find_class(self, module: str, name: str) -> Any:
        check_name(module, name)
        return name if module == "torch" and name in DTYPES else NAMES[module, name]()

    def persistent_load(self, pid: Any) -> Storage:
        kind, storage_type, key, _, count, *view = pid  # a view: in the older kind of file
        known = kind == "storage" and storage_type in DTYPES and isinstance(key, str)
        if not known or not _counts(count) or len(view) > 1:
            raise ValueError("it holds more than tensors")
        dtype = DTYPES[storage_type]
        if self.storages.setdefault(key, (dtype, count)) != (dtype, count):
            raise ValueError("a storage is described in two ways")
        if view and view[0] is not None:
            _, start, length = view[0]
            if not _counts(start, length) or start + length > count:
                raise ValueError("a view is larger than its storage")
            return Storage(key, dtype, length, start)
        return Storage(key, dtype, count)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    """A tensor that fits its storage; raises ValueError for all others."""
    if (
        not isinstance(storage, Storage)
        or not isinstance(shape, tuple)
        or not isinstance(strides, tuple)
        or not _counts(offset, *shape, *strides)
    ):
        raise ValueError("a tensor is not described by a storage and by numbers")
    if len(shape) != len(strides) or len(shape) > DIMENSIONS:
        raise ValueError(f"a tensor has {len(shape)} lengths and {len(strides)} strides")
    if 0 in shape:  # without values
        return Tensor(storage, 0, shape, strides)
    last = offset + sum((length - 1) * step for length, step in zip(shape, strides))
    # A repeated value would let a small file name a large tensor.
    repeats = any(length > 1 and not step for length, step in zip(shape, strides))
    if repeats or last >= storage.size:
        raise ValueError("a tensor does not fit its storage")
    return Tensor(storage, offset, shape, strides)


def _counts(*values: Any) -> bool:
    """Whether all of some values are whole numbers that an index may have."""
    return all(type(value) is int and 0 <= value < 2**48 for value in values)


def check_name(module: str, name: str) -> None:
    """Raise ValueError for a function that is not known."""
    if module.startswith(("__main__", "torch.nn", "torchvision", "torch.jit")):
        raise ValueError(
            f"it holds a whole model ({module}.{name}), whose code would have to be run; save "
            "model.state_dict() instead"
        )
    if (module, name) not in NAMES and not (module == "torch" and name in DTYPES):
        raise ValueError(f"it asks for {module}.{name}, which is no tensor")


def check(file: BinaryIO) -> None:
    """Look through the next pickle and go back to its start; raises ValueError.

    It is refused if an operation is unknown, or could take more memory than a network needs.
    """
    start, tuples = file.tell(), 0
    for operation, argument, _ in pickletools.genops(file):
        if operation.name == "PROTO" and argument != 2:
            raise ValueError(
                f"it was saved with pickle_protocol={argument}; save it without that, with 2"
            )
        if operation.name == "GLOBAL":
            check_name(*str(argument).split(" ", 1))
        if operation.name not in OPERATIONS:
            raise ValueError(f"it holds more than tensors ({operation.name})")
        tuples += operation.name.startswith("TUPLE")
        if tuples > TUPLES or (operation.name == "LONG_BINPUT" and (argument or 0) > MEMO):
            raise ValueError("it is longer than the tensors of a network need")
    file.seek(start)


def flatten(value: Any, prefix: str = "", depth: int = 4) -> dict[str, Tensor]:
    """The tensors in nested dictionaries, by their names joined with dots."""
    found: dict[str, Tensor] = {}
    if isinstance(value, Tensor) and prefix:
        found[prefix] = value
    elif isinstance(value, dict) and depth:
        for name, item in value.items():
            if isinstance(name, str | int):
                found |= flatten(item, f"{prefix}.{name}" if prefix else str(name), depth - 1)
    return found
