"""Files of PyTorch are read without it; no file runs anything, or takes memory that it lacks."""

import itertools
import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weight_files import named, operations, tensor, torch_bytes, torch_zip

from nst.errors import WeightsError
from nst.vgg import torch_file, torch_pickle, weights

VALUES = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
CODES = np.arange(250, 256, dtype=np.uint8)
STORAGES = {"1": VALUES, "2": CODES}
TENSORS = {"values": tensor("1", VALUES), "codes": tensor("2", CODES, of="ByteStorage")}
WHOLE = torch_bytes(named(TENSORS), STORAGES)
ZIP = torch_zip(named(TENSORS), STORAGES)
MEMORY = 8_000_000  # bytes that reading a small file may take


def write(folder, data):
    path = folder / "net.bin"
    path.write_bytes(data)
    return path


def read_tensors(path):
    """All the tensors of a file."""
    return {name: array.read() for name, array in torch_file.read_tensors(path).items()}


@pytest.fixture(params=["stream", "zip"])
def torch_save(request):
    """What makes a file of each kind from the operations of its tensors and their storages."""
    return {"stream": torch_bytes, "zip": torch_zip}[request.param]


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


def forged(torch_save, **changes):
    """A file whose first tensor is forged."""
    return torch_save(named({**TENSORS, "values": tensor("1", VALUES, **changes)}), STORAGES)


def test_tensors_are_read(tmp_path, torch_save):
    found = read_tensors(write(tmp_path, torch_save(named(TENSORS), STORAGES)))
    assert list(found) == ["values", "codes"]
    for array, expected in ((found["values"], VALUES), (found["codes"], CODES)):
        assert array.dtype == expected.dtype
        assert (array == expected).all()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"shape": (3, 4), "offset": 12, "strides": (4, 1)}, VALUES[1]),
        ({"strides": (1, 2, 6), "shape": (2, 3, 4)}, VALUES.ravel().reshape(4, 3, 2).T),
        ({"shape": (2, 2), "strides": (12, 3), "offset": 1}, [[1, 4], [13, 16]]),
        ({"shape": (1, 24), "strides": (0, 1)}, VALUES.reshape(1, 24)),
        ({"shape": (), "strides": (), "offset": 23}, 23),
        ({"shape": (0, 7), "strides": (7, 1)}, np.empty((0, 7))),
    ],
    ids=["part", "turned", "steps", "length 1", "one", "none"],
)
def test_a_tensor_is_any_view_of_its_storage(tmp_path, torch_save, changes, expected):
    found = read_tensors(write(tmp_path, forged(torch_save, **changes)))["values"]
    assert found.shape == np.shape(expected)
    assert (found == expected).all()


def as_bfloat16(values):
    return (values.view(np.uint32) >> 16).astype(np.uint16)


@pytest.mark.parametrize(
    ("of", "stored"),
    [
        ("DoubleStorage", VALUES.astype("<f8")),
        ("HalfStorage", VALUES.astype("<f2")),
        ("BFloat16Storage", as_bfloat16(VALUES)),
        ("LongStorage", VALUES.astype("<i8")),
        ("IntStorage", VALUES.astype("<i4")),
        ("ShortStorage", VALUES.astype("<i2")),
        ("CharStorage", VALUES.astype("i1")),
    ],
)
def test_every_dtype_is_read(tmp_path, torch_save, of, stored):
    data = torch_save(named({"values": tensor("1", stored, of=of)}), {"1": stored})
    assert (read_tensors(write(tmp_path, data))["values"] == VALUES).all()


def test_tensors_share_a_storage(tmp_path, torch_save):
    parts = {str(n): tensor("1", VALUES[0, n], offset=4 * n, count=24) for n in range(3)}
    found = read_tensors(write(tmp_path, torch_save(named(parts), {"1": VALUES})))
    assert all((found[str(n)] == VALUES[0, n]).all() for n in range(3))


def test_the_oldest_files_have_views_of_storages_and_texts_of_python_2(tmp_path):
    view = tensor("1", VALUES, view=("9", 12, 12), shape=(3, 4), strides=(4, 1))
    view = view.replace(b"_rebuild_tensor_v2", b"_rebuild_tensor")
    body = b"}(U\x04part" + view + b"u"
    found = read_tensors(write(tmp_path, torch_bytes(body, {"1": VALUES})))
    assert (found["part"] == VALUES[1]).all()
    for wrong in (("9", 13, 12), ("9", -1, 12), ("9", 0, 2**50), 3):
        body = named({"part": tensor("1", VALUES, view=wrong, shape=(1,), strides=(1,))})
        assert_refused(tmp_path, torch_bytes(body, {"1": VALUES}))


def test_a_checkpoint_of_training_holds_more_than_the_tensors(tmp_path, torch_save):
    parameter = b"ctorch._utils\n_rebuild_parameter\n(" + tensor("1", VALUES) + b"\x88NtR"
    rest = operations("epoch") + operations(3) + operations("loss") + operations(0.5)
    rest += operations("name") + operations(["vgg", None])
    body = b"}(" + operations("state_dict") + named({"module.0.weight": parameter}) + rest + b"u"
    found = read_tensors(write(tmp_path, torch_save(body, {"1": VALUES})))
    assert list(found) == ["state_dict.module.0.weight"]
    assert (found["state_dict.module.0.weight"] == VALUES).all()


FUNCTIONS = [
    ("os", "system"),
    ("posix", "system"),
    ("builtins", "eval"),
    ("builtins", "exec"),
    ("__builtin__", "eval"),  # as Python 2 called it
    ("subprocess", "Popen"),
    ("torch", "load"),
    ("torch", "ComplexFloatStorage"),
    ("torch.nn.modules.conv", "Conv2d"),
    ("torchvision.models.vgg", "VGG"),
    ("__main__", "Net"),
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
    if place == "tensors":
        assert_refused(tmp_path, torch_zip(call, STORAGES), f"{module}.{name}")
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
def test_no_other_way_to_a_function_is_known(tmp_path, monkeypatch, torch_save, body):
    monkeypatch.chdir(tmp_path)
    words = "more than tensors|asks for os.system"
    assert_refused(tmp_path, torch_save(body, STORAGES), words)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("state", [b"}(%sNu", b"N}(%sNu\x86"], ids=["attributes", "slots"])
def test_what_is_given_out_can_be_changed_without_harm(tmp_path, state):
    before = dict(vars(torch_pickle.Tensor))
    body = b"ctorch._utils\n_rebuild_tensor_v2\n" + state % operations("array") + b"b"  # BUILD
    assert_refused(tmp_path, torch_bytes(body, STORAGES))
    assert dict(vars(torch_pickle.Tensor)) == before
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


@pytest.mark.parametrize("whole", [WHOLE, ZIP], ids=["stream", "zip"])
def test_every_cut_is_found(tmp_path, whole):
    for length in range(len(whole)):
        with pytest.raises(ValueError):  # noqa: PT011 (of any cut)
            read_tensors(write(tmp_path, whole[:length]))


@settings(max_examples=5)
@given(share=st.floats(0, 1, exclude_max=True))
def test_cuts_of_the_real_file_are_found(vgg19, tmp_path, share):
    whole = vgg19.file.path.read_bytes()
    path = write(tmp_path, whole[: int(share * len(whole))])
    with pytest.raises(ValueError):  # noqa: PT011
        read_tensors(path)


@settings(max_examples=400)
@given(data=st.data(), whole=st.sampled_from([WHOLE, ZIP]))
def test_changed_bytes_do_no_harm(tmp_path, data, whole):
    places, values = st.integers(0, len(whole) - 1), st.integers(0, 255)
    changed = bytearray(whole)
    for place, value in data.draw(st.dictionaries(places, values, min_size=1, max_size=4)).items():
        changed[place] = value
    assert_harmless(tmp_path, bytes(changed))


STEPS = [operations(value) for value in ("1", 2, (2, 3), None, True, {}, [])]
STEPS += [b"(", b"t", b"\x85", b"\x86", b"u", b"s", b"a", b"e", b"R", b"Q", b"q\x01", b"h\x01"]
STEPS += [f"c{name}\n".encode() for name in ("collections\nOrderedDict", "torch\nByteStorage")]
STEPS += [b"ctorch._utils\n_rebuild_tensor_v2\n", *TENSORS.values()]


@settings(max_examples=200)
@given(steps=st.lists(st.sampled_from(STEPS), max_size=12))
def test_any_known_operations_do_no_harm(tmp_path, torch_save, steps):
    assert_harmless(tmp_path, torch_save(b"".join(steps), STORAGES))


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
def test_forged_tensors_are_refused(tmp_path, torch_save, changes):
    assert_refused(tmp_path, forged(torch_save, **changes))


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
        operations("x" * torch_pickle.LONGEST),
        b"(" * torch_pickle.LONGEST,
    ],
    ids=["memo", "string", "bytes", "number", "hash", "name", "long", "marks"],
)
def test_a_file_takes_no_more_memory_than_it_has(tmp_path, torch_save, body):
    assert_refused(tmp_path, torch_save(body, STORAGES))


def test_a_forged_count_of_a_storage_is_refused(tmp_path):
    for count in (-1 % 2**64, 2**40, 23, 0):
        data = forged(torch_bytes, count=count if count else 24)
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
    with pytest.raises(
        WeightsError, match=r"names no layers of VGG .it has 2 arrays: values, codes"
    ):
        weights.load(weights.find(str(path), "vgg19", print))


def test_files_of_other_kinds_are_refused(tmp_path):
    for data in (b"weights\n" * 100, b"", WHOLE[1:], pickle.dumps({}, 2)):
        assert_refused(tmp_path, data)
    other = WHOLE.replace(operations(torch_file.MAGIC), operations(torch_file.MAGIC + 1))
    assert_refused(tmp_path, other)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"members": {"constants.pkl": b""}}, "TorchScript"),
        ({"members": {"byteorder": b"big"}}, "big-endian"),
        ({"members": {"data/1": b"1234"}}, "storage 1 is missing, or of another size"),
        ({"members": {"data/2": None}}, "storage 2 is missing, or of another size"),
        ({"compressed": True}, "compressed"),
        ({"protocol": 4}, "pickle_protocol=4"),
    ],
    ids=["script", "order", "short", "missing", "compressed", "protocol"],
)
def test_forged_archives_are_refused(tmp_path, changes, words):
    assert_refused(tmp_path, torch_zip(named(TENSORS), STORAGES, **changes), words)


def test_a_changed_value_in_an_archive_is_found(tmp_path):
    changed = ZIP.replace(VALUES.tobytes(), VALUES[::-1].tobytes())
    assert changed != ZIP
    assert_refused(tmp_path, changed, "Bad CRC-32")


def test_big_endian_numbers_are_refused(tmp_path):
    sizes = operations({"little_endian": False})
    assert_refused(tmp_path, torch_bytes(named(TENSORS), STORAGES, sizes=sizes), "big-endian")
