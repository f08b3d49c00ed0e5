"""TIFF of every kind: the right pixels, or a refusal with the reason."""

import io
import struct
import sys

import numpy as np
import pytest
import tifffile
from damage import CHANGES, KEPT, read_damaged
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiff_files import GREY, HEIGHT, IN_LAB, OPACITY, PHOTO, RGB, WIDTH, Kind, kinds

import nst.pictures.read
import nst.pictures.tiff
from nst.errors import PictureError
from nst.pictures.read import peek_size, read_picture

SHOWN_GREY = np.repeat(GREY, 3, axis=2)
DEEP = RGB.astype(np.uint16) * 257


def written(tmp_path, samples, name="a.tif", **options):
    path = tmp_path / name
    tifffile.imwrite(path, np.ascontiguousarray(samples), metadata=None, **options)
    return path


@settings(max_examples=250)
@given(kinds())
def test_every_kind_shows_the_same_picture(tmp_path, kind):
    path = tmp_path / "a.tif"
    kind.write(path)
    picture = read_picture(path)
    assert picture.file_size == peek_size(path) == (WIDTH, HEIGHT)
    difference = np.abs(picture.rgb - kind.shown())
    # A byte of a* or b* is up to some levels of sRGB.
    assert difference.max() <= (12 if kind.photometric == "cielab" else 2)
    assert difference.mean() <= 2
    is_transparent = kind.alpha in ("assocalpha", "unassalpha")
    assert (picture.transparency is not None) == is_transparent
    if is_transparent:
        assert np.abs(picture.transparency - OPACITY[:, :, 0].astype(int)).max() <= 1
    dropped = kind.alpha is not None and not is_transparent
    assert len(picture.notes) == dropped + (kind.photometric == "separated"), picture.notes


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("alpha", ["unassalpha", "assocalpha"])
@pytest.mark.parametrize("numbers", ["u1", "u2", "f4"])
def test_grey_with_opacity(tmp_path, photometric, alpha, numbers):
    kind = Kind(numbers, photometric, alpha=alpha)
    kind.write(tmp_path / "a.tif")
    picture = read_picture(tmp_path / "a.tif")
    seen = OPACITY[:, :, 0] > 60
    assert np.abs(picture.rgb - kind.shown())[seen].mean() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_deep_tiff_is_turned_upright(tmp_path, orientation):
    undo = {2: 0, 3: 1 + 2, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = PHOTO.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else PHOTO
    samples = np.asarray(stored).astype(np.uint16) * 257
    path = written(tmp_path, samples, photometric="rgb", extratags=[(274, 3, 1, orientation, True)])
    picture = read_picture(path)
    assert picture.file_size == peek_size(path) == (WIDTH, HEIGHT)
    np.testing.assert_allclose(picture.rgb, RGB, atol=1)


@pytest.mark.parametrize("numbers", ["u1", "u2"])
def test_the_first_full_page_is_the_picture(tmp_path, numbers):
    path, small = tmp_path / "a.tif", np.asarray(PHOTO.resize((15, 10)))
    with tifffile.TiffWriter(path) as file:
        file.write(small, photometric="rgb", subfiletype=1, metadata=None)
        mask = np.ones((HEIGHT, WIDTH), bool)
        file.write(mask, photometric="mask", subfiletype=4, metadata=None)
        file.write(Kind(numbers).samples(), photometric="rgb", metadata=None)
        file.write(255 - RGB, photometric="rgb", metadata=None)
    assert peek_size(path) == (WIDTH, HEIGHT)
    np.testing.assert_allclose(read_picture(path).rgb, RGB, atol=1)


def test_the_only_page_is_the_picture_even_if_it_is_called_reduced(tmp_path):
    path = written(tmp_path, RGB, photometric="rgb", subfiletype=1)
    assert (read_picture(path).rgb == RGB).all()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("wide", [1, 257])
def test_palettes_of_8_and_of_16_bits(tmp_path, bits, wide):
    levels = np.linspace(0, 255, 2**bits).round().astype(np.uint16)
    palette = np.stack([levels, levels[::-1], levels]) * np.uint16(wide)
    indices = (np.arange(40 * 30).reshape(30, 40) % 2**bits).astype(np.uint8)
    data = np.unpackbits(indices[:, :, None], axis=2)[:, :, 8 - bits :].reshape(30, -1)
    rows = np.packbits(data, axis=1).tobytes()
    tags = [(256, 3, 40), (257, 3, 30), (258, 3, bits), (259, 3, 1), (262, 3, 3), (273, 4, 0)]
    tags += [(277, 3, 1), (278, 3, 30), (279, 4, len(rows)), (320, 3, 0)]
    start = 10 + 12 * len(tags) + 4
    entries = b"".join(
        struct.pack("<HHII", tag, kind, palette.size if tag == 320 else 1,
                    {273: start, 320: start + len(rows)}.get(tag, value))
        for tag, kind, value in tags
    )  # fmt: skip
    path = tmp_path / "a.tif"
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + b"\0\0\0\0"
    path.write_bytes(head + rows + palette.astype("<u2").tobytes())
    expected = np.stack([levels, levels[::-1], levels], axis=1)[indices]
    np.testing.assert_allclose(read_picture(path).rgb, expected, atol=0)


def test_iccllab_of_both_depths(tmp_path):
    levels = IN_LAB ^ np.array([0, 128, 128], np.uint8)  # with an offset instead of a sign
    deep = np.rint(levels.astype(float) * (65280 / 255, 256, 256)).astype(np.uint16)
    for samples in (levels, deep):
        path = written(tmp_path, samples, photometric="icclab")
        assert np.abs(read_picture(path).rgb.astype(int) - RGB).mean() < 2


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_jpeg_inside(tmp_path, planar):
    stored = np.moveaxis(RGB, 2, 0) if planar == "separate" else RGB
    path = written(
        tmp_path, stored, photometric="rgb", planarconfig=planar,
        compression="jpeg", compressionargs={"level": 95},
    )  # fmt: skip
    assert np.abs(read_picture(path).rgb.astype(int) - RGB).mean() < 6


@pytest.mark.parametrize(
    ("samples", "word"),
    [
        (GREY.astype(np.uint16) * 16, "of 65535"),
        (DEEP // 64, "reach 102"),
        (GREY.astype(np.float32) - 1000, "were mapped"),
        (GREY.astype(np.int16) - 300, "were mapped"),
        (RGB.astype(np.float32) * 300, "were mapped"),
        (RGB.astype(np.float32), "255 was taken for white"),
        (RGB.astype(np.uint32) * 257, "65535 was taken for white"),
        (np.dstack([RGB, RGB]).astype(np.uint16) * 257, "3 of 6 channels"),
    ],
)
def test_what_is_guessed_is_said(tmp_path, samples, word):
    photometric = "minisblack" if samples.shape[2] == 1 else "rgb"
    if samples.shape[2] == 1:
        samples = samples[:, :, 0]
    (note,) = read_picture(written(tmp_path, samples, photometric=photometric)).notes
    assert word in note


def write_pyramid(path, below):
    """The photo, with reduced copies behind it or, as in OME-TIFF, below it."""
    with tifffile.TiffWriter(path) as file:
        options = {"photometric": "rgb", "metadata": None, "compression": "zlib"}
        file.write(RGB, **options, subifds=2 if below else None)
        for factor in (2, 4):
            size = (-(-WIDTH // factor), -(-HEIGHT // factor))
            file.write(np.asarray(PHOTO.resize(size)), **options, subfiletype=1)


@pytest.mark.parametrize("below", [False, True])
@pytest.mark.parametrize(("long_side", "copy"), [(23, "23 x 15"), (20, "23 x 15"), (12, "12 x 8")])
def test_a_picture_beyond_the_limit_is_read_from_its_reduced_copy(
    tmp_path, monkeypatch, below, long_side, copy
):
    path = tmp_path / "a.tif"
    write_pyramid(path, below)
    assert not read_picture(path, long_side).notes
    for module in (nst.pictures.tiff, nst.pictures.read):
        monkeypatch.setattr(module, "MAX_PIXELS", 1000)
    picture = read_picture(path, long_side)
    assert picture.notes == (f"read from its reduced copy of {copy}",)
    assert picture.file_size == peek_size(path) == (WIDTH, HEIGHT)
    expected = PHOTO.resize(picture.rgb.shape[1::-1], Image.Resampling.LANCZOS)
    assert np.abs(picture.rgb - np.asarray(expected, float)).mean() < 6
    with pytest.raises(PictureError, match="give a smaller --image_size"):
        read_picture(path, 30)


def of_tags(path, changes):
    """Overwrite the values of SHORT and LONG tags of the first page of a little-endian TIFF."""
    data = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", data, 4)
    for at in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
        tag = struct.unpack_from("<H", data, at)[0]
        if tag in changes:
            struct.pack_into("<HII", data, at + 2, 4, 1, changes[tag])
    path.write_bytes(data)


REFUSED = {
    "parts are missing": lambda path: of_tags(path, {279: 0}),
    "colour kind LOGLUV": lambda path: of_tags(path, {262: 32845}),
    "compression": lambda path: of_tags(path, {259: 34661}),
    "GB to decode": lambda path: of_tags(path, {256: 11_000, 257: 11_000, 278: 11_000, 277: 14}),
    "more than 128 megapixels": lambda path: of_tags(path, {256: 60_000, 257: 60_000, 278: 60_000}),
    "pixels along a side": lambda path: of_tags(path, {257: 2**31}),
    "a volume": lambda path: of_tags(path, {305: 0}) or add_depth(path),
}


def add_depth(path):
    with tifffile.TiffWriter(path) as file:
        file.write(np.zeros((16, 64, 64), np.uint16), volumetric=True, tile=(16, 16, 16))


@pytest.mark.parametrize("word", REFUSED)
def test_what_cannot_be_read_rightly_is_refused(tmp_path, word):
    path = written(tmp_path, DEEP, photometric="rgb", bigtiff=False, byteorder="<")
    REFUSED[word](path)
    with pytest.raises(PictureError, match=word) as refusal:
        read_picture(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert "\n" not in str(refusal.value)


def test_without_imagecodecs_pillow_reads_what_it_can(tmp_path, monkeypatch):
    plain = written(tmp_path, RGB, "a.tif", photometric="rgb", compression="lzw")
    deep = written(tmp_path, DEEP, "b.tif", photometric="rgb", compression="lzw")
    for name in [name for name in sys.modules if name.split(".")[0] in ("tifffile", "imagecodecs")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    assert (read_picture(plain).rgb == RGB).all()
    with pytest.raises(PictureError, match="imagecodecs: pip install -r requirements.txt"):
        read_picture(deep)


def seeds():
    buffers = []
    for kind in (
        Kind("u2"),
        Kind("f4", compression="zlib", predictor=True, tile=(16, 32)),
        Kind("u2", "separated", "separate", "lzw"),
        Kind("packed12", "minisblack"),
        Kind("u2", byteorder=">", bigtiff=True, alpha="assocalpha", compression="packbits"),
    ):
        path = io.BytesIO()
        path.write_bytes = path.write
        kind.write(path)
        buffers.append(path.getvalue())
    return buffers


@settings(max_examples=700)
@given(
    st.sampled_from(seeds()),
    CHANGES,
    KEPT,
)
def test_damaged_files_are_read_or_refused(tmp_path, seed, changes, kept):
    read_damaged(tmp_path, seed, changes, kept)
