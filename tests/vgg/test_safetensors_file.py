"""Tensors of .safetensors are read; no file takes memory that it lacks."""

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weight_files import safetensors_bytes

from nst.vgg import safetensors_file

VALUES = np.arange(-12, 12, dtype=np.float32).reshape(2, 3, 4)
CODES = np.arange(250, 256, dtype=np.uint8)
WHOLE = safetensors_bytes({"values": ("F32", VALUES), "codes": ("U8", CODES)})


def read_tensors(folder, data):
    path = folder / "net.safetensors"
    path.write_bytes(data)
    return {name: a.read() for name, a in safetensors_file.read_tensors(path).items()}


def with_header(header, rest=bytes(96)):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + rest


@pytest.mark.parametrize(
    ("dtype", "stored"),
    [
        ("F64", VALUES.astype("<f8")),
        ("F32", VALUES),
        ("F16", VALUES.astype("<f2")),
        ("BF16", (VALUES.view(np.uint32) >> 16).astype(np.uint16)),
        ("I64", VALUES.astype("<i8")),
        ("I32", VALUES.astype("<i4")),
        ("I16", VALUES.astype("<i2")),
        ("I8", VALUES.astype("i1")),
    ],
)
def test_every_dtype_is_read(tmp_path, dtype, stored):
    data = safetensors_bytes({"a": ("U8", CODES), "values": (dtype, stored)}, {"format": "pt"})
    found = read_tensors(tmp_path, data)
    assert list(found) == ["a", "values"]
    assert (found["values"] == VALUES).all()
    assert (found["a"] == CODES).all()


def entry(dtype="F32", shape=(2, 3, 4), data_offsets=(0, 96)):
    return {"dtype": dtype, "shape": shape, "data_offsets": data_offsets}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x08",
        (2**63).to_bytes(8, "little") + b"{}",
        (2**24).to_bytes(8, "little") + b"{}",
        with_header(b"[]"),
        with_header(b"{"),
        with_header(b"\xff\xfe"),
        with_header(b"[" * 100_000),
        with_header(b'{"a":' * 100_000),
        with_header({"a": 3}),
        with_header({"a": {}}),
        with_header({"a": entry(dtype="F8_E4M3")}),
        with_header({"a": entry(dtype=["F32"])}),
        with_header({"a": entry(shape=[2, 3, 5])}),
        with_header({"a": entry(shape=[-2, -3, 4])}),
        with_header({"a": entry(shape=[2**60, 2**60])}),
        with_header({"a": entry(shape=[2.0, 3, 4])}),
        with_header({"a": entry(shape=[True, 24])}),
        with_header({"a": entry(shape="23")}),
        with_header({"a": entry(shape=[1] * 100 + [24])}),
        with_header({"a": entry(data_offsets=[1, 97])}),
        with_header({"a": entry(data_offsets=[-96, 0])}),
        with_header({"a": entry(data_offsets=[96, 0])}),
        with_header({"a": entry(data_offsets=[0, 95])}),
        with_header({"a": entry(data_offsets=[2**40, 2**40 + 96])}),
        with_header({"a": entry(data_offsets=[0])}),
        with_header(b'{"a": %b, "a": %b}' % ((json.dumps(entry()).encode(),) * 2)),
    ],
)
def test_forged_headers_are_refused(tmp_path, data):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError):  # noqa: PT011
            read_tensors(tmp_path, data)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_every_cut_is_found(tmp_path):
    for length in range(len(WHOLE)):
        with pytest.raises(ValueError):  # noqa: PT011
            read_tensors(tmp_path, WHOLE[:length])
    with pytest.raises(ValueError, match=f"{len(WHOLE) - 1:,} bytes, {len(WHOLE):,} expected"):
        read_tensors(tmp_path, WHOLE[:-1])


@settings(max_examples=300)
@given(data=st.data())
def test_changed_bytes_do_no_harm(tmp_path, data):
    places, values = st.integers(0, len(WHOLE) - 1), st.integers(0, 255)
    changed = bytearray(WHOLE)
    for place, value in data.draw(st.dictionaries(places, values, min_size=1, max_size=4)).items():
        changed[place] = value
    try:
        found = read_tensors(tmp_path, bytes(changed))
    except ValueError:
        return
    assert sum(array.size for array in found.values()) <= len(WHOLE)
