"""JPEG: its scans and its end are told from what stands around and behind them."""

import io
import os
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import nst.pictures.jpeg2000
from helpers import ROOT
from nst.errors import PictureError
from nst.pictures.jpeg import MAX_SCANS, read_structure
from nst.pictures.read import peek_size, read_picture

with Image.open(ROOT / "images/temple.jpg") as shipped:
    PHOTO = shipped.resize((90, 60))
RANDOM = np.random.default_rng(0).bytes(2**21)


def encoded(**options):
    buffer = io.BytesIO()
    PHOTO.save(buffer, "JPEG", **{"quality": 92} | options)
    return buffer.getvalue()


PLAIN = encoded()
PROGRESSIVE = encoded(progressive=True)
KINDS = {
    "plain": PLAIN,
    "progressive": PROGRESSIVE,
    "fine": encoded(subsampling=0, optimize=True),
    "restarts": encoded(restart_marker_blocks=2),
}


def read(tmp_path, data, long_side=None):
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    return read_picture(path, long_side)


def shown(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("long_side", [None, 20])
def test_what_follows_the_end_does_not_count(tmp_path, kind, long_side):
    picture = read(tmp_path, KINDS[kind] + b"MotionPhoto_Data" + 20 * RANDOM, long_side)
    assert not picture.notes
    if long_side is None:
        assert (picture.rgb == shown(KINDS[kind])).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cut", [1, 2])
@pytest.mark.parametrize("long_side", [None, 20])
def test_a_whole_picture_without_its_end_marker_is_read(tmp_path, kind, cut, long_side):
    picture = read(tmp_path, KINDS[kind][:-cut], long_side)
    assert "end marker is missing" in picture.notes[0]
    if long_side is None:
        assert (picture.rgb == shown(KINDS[kind])).all()


@settings(max_examples=100)
@given(st.sampled_from(list(KINDS.values())), st.floats(0.01, 0.995), st.sampled_from([None, 20]))
def test_a_cut_picture_is_refused(tmp_path, data, kept, long_side):
    with pytest.raises(PictureError):
        read(tmp_path, data[: max(1, int(kept * len(data)))], long_side)


def test_the_scans_of_an_embedded_preview_do_not_count(tmp_path):
    data = encoded(comment=b"\xff\xda" * (MAX_SCANS + 50))
    assert read_structure(data).scans == 1
    assert not read(tmp_path, data).notes


def test_too_many_scans_are_refused_at_the_first_look(tmp_path):
    scan = PROGRESSIVE.rindex(b"\xff\xda")
    path = tmp_path / "a.jpg"
    path.write_bytes(PROGRESSIVE[:-2] + PROGRESSIVE[scan:-2] * (MAX_SCANS + 1) + b"\xff\xd9")
    for look in (peek_size, read_picture):
        with pytest.raises(PictureError, match="more than 200 scans"):
            look(path)


@pytest.mark.parametrize("kind", KINDS)
def test_structure(kind):
    structure = read_structure(KINDS[kind])
    assert structure.size == (90, 60)
    assert structure.ended
    assert not structure.unrefined
    assert structure.progressive == (kind == "progressive")
    assert (structure.scans > 1) == structure.progressive


def with_size(data, width, height):
    """A JPEG whose frame header tells another size."""
    at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    size = height.to_bytes(2) + width.to_bytes(2)
    return data[: at + 5] + size + data[at + 9 :]


def test_limits_on_the_pixels(tmp_path):
    path = tmp_path / "a.jpg"
    for data, size in ((PLAIN, (60_000, 60_000)), (PROGRESSIVE, (30_000, 20_000))):
        path.write_bytes(with_size(data, *size))
        for look in (peek_size, read_picture):
            with pytest.raises(PictureError, match="megapixels; make it smaller"):
                look(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.jpg", "a.jp2"])
def test_more_pixels_than_the_limit_are_read_reduced(tmp_path, name):
    size = (13_000, 10_000)
    PHOTO.convert("L").resize(size).save(tmp_path / name)
    assert peek_size(tmp_path / name) == size
    picture = read_picture(tmp_path / name, 90)
    assert picture.file_size == size
    assert (
        np.abs(picture.rgb[:, :, 0] - np.asarray(PHOTO.convert("L").resize((90, 69)), float)).mean()
        < 3
    )
    with pytest.raises(PictureError, match="smaller --image_size"):
        read_picture(tmp_path / name)


@pytest.mark.parametrize("name", ["a.jp2", "a.j2k"])
@pytest.mark.parametrize("size", [(90, 60), (201, 133)])
@pytest.mark.parametrize("long_side", [50, 20, 9])
def test_jpeg_2000_is_reduced_as_it_is_decoded(tmp_path, monkeypatch, name, size, long_side):
    monkeypatch.setattr(nst.pictures.jpeg2000, "REDUCED_FROM", 0)
    image = PHOTO.resize(size)
    image.save(tmp_path / name)
    picture = read_picture(tmp_path / name, long_side)
    rows, columns, _ = picture.rgb.shape
    expected = np.asarray(image.resize((columns, rows), Image.Resampling.LANCZOS), float)
    assert picture.file_size == size
    assert np.abs(picture.rgb - expected).mean() < 8


@settings(max_examples=300)
@given(
    st.sampled_from(list(KINDS.values())),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
    st.floats(0.02, 1),
    st.integers(0, 30),
)
def test_damaged_files_are_read_or_refused(tmp_path, seed, changes, kept, more):
    data = bytearray(seed)
    for where, value in changes:
        data[int(where**2 * len(data))] = value
    path = tmp_path / "a.jpg"
    path.write_bytes(data[: max(1, int(kept * len(data)))] + os.urandom(more))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            assert max(read_picture(path, 64).rgb.shape) <= 64
        except PictureError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_wherever_a_picture_is_cut_it_is_refused(tmp_path, kind):
    """Within the escape of a byte 255, and beside a restart marker, too."""
    data = KINDS[kind]
    first = data.rindex(b"\xff\xda") + 20
    cuts = {at + 1 for at in range(first, len(data) - 2) if data[at] == 0xFF}
    cuts |= {at - 1 for at in cuts} | set(range(len(data) - 40, len(data) - 8))
    for cut in cuts:
        with pytest.raises(PictureError, match="its end is missing"):
            read(tmp_path, data[:cut])
