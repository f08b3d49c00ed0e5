"""Files of PyTorch are read without it; no file runs anything, or takes memory that it lacks."""

import itertools
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weight_files import named, operations, tensor, torch_bytes

from nst.errors import WeightsError
from nst.vgg import torch_file, weights
from nst.vgg.torch_file import read_tensors

VALUES = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
CODES = np.arange(250, 256, dtype=np.uint8)
STORAGES = {"1": VALUES, "2": CODES}
TENSORS = {"values": tensor("1", VALUES), "codes": tensor("2", CODES, of="ByteStorage")}
WHOLE = torch_bytes(named(TENSORS), STORAGES)
MEMORY = 8_000_000  # bytes that reading a small file may take


def write(folder, data):
    path = folder / "net.bin"
    path.write_bytes(data)
    return path


def assert_refused(folder, data, words=None):
    """Assert that a file is refused by the reader, and in one short line by what calls it."""
    path = write(folder, data)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=words):
            read_tensors(path)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    with pytest.raises(WeightsError, match=r"net\.bin") as refusal:
        weights.load(weights.find(str(path), "vgg19", print))
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 400 + len(str(path))


def forged(**changes):
    """A file whose first tensor is forged."""
    return torch_bytes(named({**TENSORS, "values": tensor("1", VALUES, **changes)}), STORAGES)


def test_tensors_are_read(tmp_path):
    found = read_tensors(write(tmp_path, WHOLE))
    assert list(found) == ["values", "codes"]
    for array, expected in ((found["values"], VALUES), (found["codes"], CODES)):
        assert array.dtype == expected.dtype
        assert (array == expected).all()
    part = tensor("1", VALUES[1], count=24, offset=12)
    found = read_tensors(write(tmp_path, torch_bytes(named({"part": part}), {"1": VALUES})))
    assert (found["part"] == VALUES[1]).all()


FUNCTIONS = [
    ("os", "system"),
    ("posix", "system"),
    ("builtins", "eval"),
    ("builtins", "exec"),
    ("__builtin__", "eval"),  # as Python 2 called it
    ("subprocess", "Popen"),
    ("torch", "load"),
    ("torch", "HalfStorage"),
    ("torch.storage", "FloatStorage"),
    ("numpy", "load"),
    ("collections", "abc"),
    ("collections", "OrderedDict.update"),
    ("nst.vgg.torch_file", "os.system"),
]


@pytest.mark.parametrize("place", ["protocol", "sizes", "tensors", "keys"])
@pytest.mark.parametrize(("module", "name"), FUNCTIONS)
def test_no_other_function_is_called(tmp_path, monkeypatch, place, module, name):
    monkeypatch.chdir(tmp_path)
    argument = "open('ran', 'w')" if module.endswith(("builtins__", "builtins")) else "touch ran"
    call = f"c{module}\n{name}\n".encode() + operations(argument) + b"\x85R"
    parts = {"tensors": named(TENSORS), place: call}
    assert_refused(tmp_path, torch_bytes(storages=STORAGES, **parts), f"{module}.{name}")
    assert [path.name for path in tmp_path.iterdir()] == ["net.bin"]


@pytest.mark.parametrize(
    "body",
    [
        b"(S'touch ran'\nios\nsystem\n",  # INST
        b"(cos\nsystem\nS'touch ran'\no",  # OBJ
        operations("os") + operations("system") + b"\x93" + operations("touch ran") + b"\x85R",
        b"ctorch\nFloatStorage\n)\x81",  # NEWOBJ
        b"\x82\x01",  # EXT1
        b"P1\n.",  # PERSID
    ],
    ids=["inst", "obj", "stack global", "newobj", "extension", "persid"],
)
def test_no_other_way_to_a_function_is_known(tmp_path, monkeypatch, body):
    monkeypatch.chdir(tmp_path)
    assert_refused(tmp_path, torch_bytes(body, STORAGES), "more than tensors")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("state", [b"}(%sNu", b"N}(%sNu\x86"], ids=["attributes", "slots"])
def test_what_is_given_out_can_be_changed_without_harm(tmp_path, state):
    before = dict(vars(torch_file._Tensor))
    body = b"ctorch._utils\n_rebuild_tensor_v2\n" + state % operations("array") + b"b"  # BUILD
    assert_refused(tmp_path, torch_bytes(body, STORAGES))
    assert dict(vars(torch_file._Tensor)) == before
    assert (read_tensors(write(tmp_path, WHOLE))["values"] == VALUES).all()


def test_what_is_known_makes_no_arrays_of_its_own(tmp_path):
    body = b"ctorch\nFloatStorage\n" + operations(3) + b"\x85R"
    assert_refused(tmp_path, torch_bytes(body, STORAGES))


def test_a_hostile_file_is_an_exit_code(nst, tmp_path):
    body = b"cos\nsystem\n" + operations(f"touch {tmp_path}/ran") + b"\x85R"
    done = nst("--model_path", write(tmp_path, torch_bytes(body, STORAGES)))
    assert done.code == 4
    assert "it asks for os.system" in done.err
    assert "--model_path" in done.err
    assert done.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["net.bin"]


def test_every_cut_is_found(tmp_path):
    for length in range(len(WHOLE)):
        with pytest.raises(ValueError):  # noqa: PT011 (of any cut)
            read_tensors(write(tmp_path, WHOLE[:length]))


@settings(max_examples=5)
@given(share=st.floats(0, 1, exclude_max=True))
def test_cuts_of_the_real_file_are_found(vgg19, tmp_path, share):
    whole = vgg19.file.path.read_bytes()
    path = write(tmp_path, whole[: int(share * len(whole))])
    with pytest.raises(ValueError):  # noqa: PT011
        read_tensors(path)


@settings(max_examples=600)
@given(
    changes=st.dictionaries(
        st.integers(0, len(WHOLE) - 1), st.integers(0, 255), min_size=1, max_size=4
    )
)
def test_changed_bytes_do_no_harm(tmp_path, changes):
    data = bytearray(WHOLE)
    for place, value in changes.items():
        data[place] = value
    assert_harmless(tmp_path, bytes(data))


STEPS = [operations(value) for value in ("1", 2, (2, 3), None, True, {}, [])]
STEPS += [b"(", b"t", b"\x85", b"\x86", b"u", b"s", b"a", b"e", b"R", b"Q", b"q\x01", b"h\x01"]
STEPS += [f"c{name}\n".encode() for name in ("collections\nOrderedDict", "torch\nByteStorage")]
STEPS += [b"ctorch._utils\n_rebuild_tensor_v2\n", *TENSORS.values()]


@settings(max_examples=600)
@given(steps=st.lists(st.sampled_from(STEPS), max_size=12))
def test_any_known_operations_do_no_harm(tmp_path, steps):
    assert_harmless(tmp_path, torch_bytes(b"".join(steps), STORAGES))


def assert_harmless(folder, data):
    """Assert that a file is refused, or read to arrays no larger than itself."""
    try:
        found = read_tensors(write(folder, data))
    except ValueError:
        return
    assert all(array.nbytes <= len(data) for array in found.values())


@pytest.mark.parametrize(
    "changes",
    [
        {"count": -1},
        {"count": 23},
        {"count": 25},
        {"count": 2**40},
        {"count": 2**70},
        {"count": 24.0},
        {"count": "24"},
        {"offset": -1},
        {"offset": 1},
        {"offset": 2**60},
        {"offset": None},
        {"strides": (12, 4)},
        {"strides": (4, 12, 1)},
        {"strides": (0, 0, 0)},
        {"strides": (-12, -4, -1)},
        {"strides": (2**62, 4, 1)},
        {"strides": 12},
        {"shape": (-24,), "strides": (1,)},
        {"shape": (-1,), "strides": (1,)},
        {"shape": (-4, -6), "strides": (-6, 1)},
        {"shape": (2**32, 2**32), "strides": (2**32, 1)},
        {"shape": (2**62, 4), "strides": (4, 1)},
        {"shape": (24.0,), "strides": (1,)},
        {"shape": (True,), "strides": (1,)},
        {"shape": ("24",), "strides": (1,)},
        {"shape": (25,), "strides": (1,)},
        {"shape": 24, "strides": (1,)},
        {"shape": (1,) * 200, "strides": (1,) * 200},
        {"of": "ByteStorage"},
        {"of": "LongStorage"},
    ],
    ids=itertools.count(),
)
def test_forged_tensors_are_refused(tmp_path, changes):
    assert_refused(tmp_path, forged(**changes))


@pytest.mark.parametrize(
    "parts",
    [
        {"keys": operations(["1"])},
        {"keys": operations(["1", "3"])},
        {"keys": operations(["2", "1"])},
        {"keys": operations(["1", "1", "2"])},
        {"keys": operations([["1"], "2"])},
        {"keys": operations(3)},
        {"keys": operations(None)},
        {"tensors": operations(3)},
        {"tensors": operations({"values": 3})},
        {"tensors": operations([])},
        {"tensors": operations({"values": "values"})},
        {"tensors": operations("1") + b"Q"},
        {"tensors": operations(("storage", "torch", "1", "cpu", 24, None)) + b"Q"},
        {"tensors": operations(("storage", "f4", ["1"], "cpu", 24, None)) + b"Q"},
        {"tensors": b"0"},
        {"tensors": b"h\x09"},
        {"tensors": b""},
    ],
    ids=itertools.count(),
)
def test_forged_pickles_are_refused(tmp_path, parts):
    assert_refused(tmp_path, torch_bytes(**{"tensors": named(TENSORS), **parts}, storages=STORAGES))


@pytest.mark.parametrize(
    "body",
    [
        b"Nr\xff\xff\xff\x7f",  # kept under an index that needs a table of 32 GB
        b"X\xff\xff\xff\xff" + b"x" * 100,  # a string of 4 GB
        b"\x8e" + (2**60).to_bytes(8, "little") + b"x",  # bytes, likewise
        b"\x8b\xff\xff\xff\x7f" + b"1",  # a number of 2 GB
        b"}" + b")" + b"\x85" * 30_000 + b"Ns",  # a hash that takes a deep stack
        b"}" + b")" + b"\x85" * 30_000 + tensor("1", VALUES) + b"s",  # and its name
        operations("x" * torch_file.PICKLES),
        b"(" * torch_file.PICKLES,
    ],
    ids=["memo", "string", "bytes", "number", "hash", "name", "long", "marks"],
)
def test_a_file_takes_no_more_memory_than_it_has(tmp_path, body):
    assert_refused(tmp_path, torch_bytes(body, STORAGES))


def test_a_forged_count_of_a_storage_is_refused(tmp_path):
    for count in (-1 % 2**64, 2**40, 23, 0):
        data = forged(count=count if count else 24)
        place = data.index((24).to_bytes(8, "little") + VALUES.tobytes())
        data = data[:place] + count.to_bytes(8, "little") + data[place + 8 :]
        assert_refused(tmp_path, data)


def test_overlapping_tensors_share_their_memory(tmp_path):
    large = np.zeros(500_000, np.float32)
    tensors = {str(number): tensor("1", large) for number in range(100)}
    path = write(tmp_path, torch_bytes(named(tensors), {"1": large}))
    tracemalloc.start()
    found = read_tensors(path)
    assert tracemalloc.get_traced_memory()[1] < 3 * large.nbytes
    tracemalloc.stop()
    assert len(found) == 100


def test_a_network_with_other_shapes_is_refused_before_it_takes_memory(tmp_path):
    """What the tables make of indices is larger than the file."""
    codes = np.zeros((1000, 1000), np.uint8)
    table = np.zeros((256, 1000), np.float32)
    arrays = {"block1_conv1_W_q": codes, "block1_conv1_W_table": table}
    arrays["block1_conv1_b"] = np.zeros(64, np.float32)
    kinds = {np.dtype(np.uint8): "ByteStorage", np.dtype(np.float32): "FloatStorage"}
    tensors = {name: tensor(name, array, of=kinds[array.dtype]) for name, array in arrays.items()}
    path = write(tmp_path, torch_bytes(named(tensors), arrays))
    assert list(read_tensors(path)) == list(arrays)
    with pytest.raises(WeightsError, match=r"conv1_1 has shapes \(1000, 1000\) and \(256, 1000\)"):
        weights.load(weights.find(str(path), "vgg19", print))
    path.write_bytes(WHOLE)
    with pytest.raises(WeightsError, match="block1_conv1_W_q"):
        weights.load(weights.find(str(path), "vgg19", print))


def test_files_of_other_kinds_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "new.zip", "w") as file:  # as PyTorch writes since 1.6
        file.writestr("net/data.pkl", pickle.dumps({}, 2))
    for data in ((tmp_path / "new.zip").read_bytes(), b"weights\n" * 100, b"", WHOLE[1:]):
        assert_refused(tmp_path, data)
    other = WHOLE.replace(operations(torch_file.MAGIC), operations(torch_file.MAGIC + 1))
    assert_refused(tmp_path, other)
