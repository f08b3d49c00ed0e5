"""Colours told by EXIF data, by tags of TIFF and by boxes of AVIF and JPEG 2000."""

import contextlib
import io
import struct

import colour_files as files
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers import ROOT
from nst.errors import PictureError
from nst.pictures.isobmff import read_colours
from nst.pictures.read import read_picture

CHART = np.zeros((24, 48, 3))
CHART[:, :12], CHART[:, 12:24], CHART[:, 24:36], CHART[:, 36:] = (0, 1, 0), (1, 0, 0), 0.5, 1
# Light of sRGB and of Adobe RGB to XYZ (B. Lindbloom)
SRGB = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.072175],
        [0.0193339, 0.119192, 0.9503041],
    ]
)
ADOBE = np.array(
    [
        [0.5767309, 0.185554, 0.1881852],
        [0.2973769, 0.6273491, 0.0752741],
        [0.0270343, 0.0706872, 0.9911085],
    ]
)
LIGHT = np.where(CHART <= 0.04045, CHART / 12.92, ((CHART + 0.055) / 1.055) ** 2.4)
IN_ADOBE = np.clip(LIGHT @ (np.linalg.inv(ADOBE) @ SRGB).T, 0, 1) ** (256 / 563)
IN_ADOBE = Image.fromarray(np.rint(IN_ADOBE * 255).astype(np.uint8))
CHART = np.rint(CHART * 255)
with Image.open(ROOT / "images/temple.jpg") as shipped:
    RGB = np.asarray(shipped.convert("RGB").resize((60, 40)), int)
PHOTO = Image.fromarray(RGB.astype(np.uint8))  # without a profile


def exif(number=None, index=None, colours=None):
    data = Image.Exif()
    data[0x010F] = "maker"
    camera = data.get_ifd(0x8769)
    if number is not None:
        camera[0xA001] = number
    if index is not None:
        camera[0xA005] = {1: index, 2: b"0100"}
    if colours is not None:
        data[0x013E], data[0x013F] = colours[:2], colours[2:]
    return data


OPTIONS = {
    "jpg": {"quality": 98, "subsampling": 0},
    "webp": {"lossless": True},
    "avif": {"quality": 98, "subsampling": "4:4:4"},
}


def read(tmp_path, name, image, **options):
    path = tmp_path / name
    image.save(path, **OPTIONS.get(path.suffix[1:].lower(), {}), **options)
    return read_picture(path)


ADOBE_XY = (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
SRGB_XY = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)


@pytest.mark.parametrize("kind", ["jpg", "png", "webp"])
@pytest.mark.parametrize(
    ("name", "data", "is_adobe", "note"),
    [
        ("a", exif(0xFFFF, "R03"), True, "Adobe RGB"),
        ("a", exif(None, "R03"), True, "Adobe RGB"),
        ("a", exif(2), True, "Adobe RGB"),
        ("_DSC0001", exif(0xFFFF), True, "Adobe RGB"),
        ("a", exif(0xFFFF, None, ADOBE_XY), True, "primaries"),
        ("_DSC0001", exif(1), False, None),
        ("_DSC0001", None, False, None),
        ("a", exif(1, "R03"), False, None),
        ("a", exif(0xFFFF, "R98"), False, None),
        ("a", exif(0xFFFF, None, SRGB_XY), False, "taken for sRGB"),
        ("a", exif(None, None, (0.3,) * 8), False, None),
        ("a", exif(0xFFFF), False, "taken for sRGB"),
        ("a", exif(1, "R98", SRGB_XY), False, None),
    ],
)
def test_exif(tmp_path, kind, name, data, is_adobe, note):
    if kind != "jpg" and name != "a":
        name = "a"  # the names are those that cameras give to JPEG files
        is_adobe, note = False, "taken for sRGB" if note else None
    options = {} if data is None else {"exif": data.tobytes()}
    picture = read(tmp_path, f"{name}.{kind}", IN_ADOBE, **options)
    expected = CHART if is_adobe else np.asarray(IN_ADOBE, int)
    inner = np.s_[4:20, [6, 18, 30, 42]]
    assert np.abs(picture.rgb[inner] - expected[inner]).max() <= 6
    assert [note in said for said in picture.notes] == [True] * bool(note)


@pytest.mark.parametrize(
    "data", [exif(2), exif(0xFFFF, None, ADOBE_XY), exif(None, None, ADOBE_XY)]
)
def test_tags_of_tiff(tmp_path, data):
    picture = read(tmp_path, "a.tif", IN_ADOBE, exif=data.tobytes())
    assert np.abs(picture.rgb - CHART).max() <= 6
    assert "no ICC profile" in picture.notes[0]


def test_a_profile_comes_before_exif(tmp_path):
    profile = files.matrix_profile(
        np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]]), 1
    )
    picture = read(tmp_path, "a.png", PHOTO, icc_profile=profile, exif=exif(0xFFFF, "R03"))
    assert picture.rgb.mean() > RGB.mean() + 30
    assert not picture.notes


@pytest.mark.parametrize("cut", [20, 30, 40, 60])
def test_damaged_exif(tmp_path, cut):
    data = exif(0xFFFF, "R03").tobytes()
    read(tmp_path, "a.jpg", PHOTO, exif=data[:cut] + b"\xff" * (len(data) - cut))


def avif(primaries, transfer, **options):
    buffer = io.BytesIO()
    PHOTO.save(buffer, "AVIF", **OPTIONS["avif"], **options)
    data = bytearray(buffer.getvalue())
    at = data.index(b"nclx") + 4
    data[at : at + 4] = struct.pack(">HH", primaries, transfer)
    return bytes(data)


@pytest.mark.parametrize("primaries", [1, 2, 9, 12])
@pytest.mark.parametrize("transfer", [1, 2, 4, 6, 8, 13, 14, 16, 18])
def test_avif_is_read_as_a_png_with_the_same_numbers(tmp_path, primaries, transfer):
    (tmp_path / "a.avif").write_bytes(avif(1, 13))
    levels = read_picture(tmp_path / "a.avif").rgb
    (tmp_path / "a.avif").write_bytes(avif(primaries, transfer))
    picture = read_picture(tmp_path / "a.avif")
    (tmp_path / "a.png").write_bytes(files.png(levels, 8, 2, files.cicp(primaries, transfer)))
    same = read_picture(tmp_path / "a.png")
    assert (picture.rgb == same.rgb).all()
    assert picture.notes == same.notes
    assert bool(picture.notes) == (transfer in (16, 18))


def test_avif_with_numbers_that_are_not_known(tmp_path):
    (tmp_path / "a.avif").write_bytes(avif(77, 13))
    assert "unknown kind" in read_picture(tmp_path / "a.avif").notes[0]


def test_the_profile_of_an_avif_comes_first(tmp_path):
    with Image.open(ROOT / "images/temple.jpg") as image:
        (tmp_path / "a.avif").write_bytes(avif(9, 16, icc_profile=image.info["icc_profile"]))
    picture = read_picture(tmp_path / "a.avif")
    assert np.abs(picture.rgb - RGB).mean() < 4
    assert "HDR (PQ)" in picture.notes[0]


def jpeg2000(colr, mode="RGB"):
    """A JPEG 2000 file with another box ``colr``."""
    buffer = io.BytesIO()
    PHOTO.convert(mode).save(buffer, "JPEG2000")
    data = buffer.getvalue()
    at = data.index(b"colr") - 4
    (length,) = struct.unpack_from(">I", data, at)
    data = data[:at] + files.box(b"colr", colr) + data[at + length :]
    header = data.index(b"jp2h") - 4
    (size,) = struct.unpack_from(">I", data, header)
    size += 8 + len(colr) - length
    return data[:header] + struct.pack(">I", size) + data[header + 4 :]


def test_jpeg2000(tmp_path):
    path = tmp_path / "a.jp2"
    matrix = np.array(
        [[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]]
    )
    profile = files.matrix_profile(matrix, 1)
    path.write_bytes(jpeg2000(b"\2\0\0" + profile))
    linear = read_picture(path)
    light = RGB / 255
    expected = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(linear.rgb - 255 * expected).mean() < 1.5
    path.write_bytes(jpeg2000(struct.pack(">BBBI", 1, 0, 0, 21)))  # ROMM: more saturated
    assert read_picture(path).rgb.std(axis=2).mean() > RGB.std(axis=2).mean() + 3
    path.write_bytes(jpeg2000(struct.pack(">BBBI", 1, 0, 0, 16)))
    assert np.abs(read_picture(path).rgb - RGB).mean() < 1
    path.write_bytes(jpeg2000(struct.pack(">BBBI", 1, 0, 0, 14)))
    with pytest.raises(PictureError, match="colour space 14 of JPEG 2000"):
        read_picture(path)


def heif(main, items, film=b""):
    """The boxes of a HEIF file. items: {number: colr or None}."""
    properties = [b"nclx" + struct.pack(">HHHB", *video, 0, 128) for video in items.values()]
    entries = b"".join(
        struct.pack(">HBBB", item, 2, 1, 2 + index) for index, item in enumerate(items)
    )
    ipco = files.box(
        b"ipco", files.box(b"ispe", bytes(12)), *(files.box(b"colr", p) for p in properties)
    )
    ipma = files.box(b"ipma", bytes(4), struct.pack(">I", len(items)), entries)
    pitm = files.box(b"pitm", bytes(4), struct.pack(">H", main))
    meta = files.box(b"meta", bytes(4), pitm, files.box(b"iprp", ipco, ipma))
    return files.box(b"ftyp", b"avif" + bytes(4)) + film + meta


def test_the_colours_are_those_of_the_main_picture():
    items = {1: (9, 16), 2: (12, 13), 7: (1, 13)}
    for main, video in items.items():
        (colour,) = read_colours(io.BytesIO(heif(main, items)))
        assert colour.video == video
    # A picture of tiles that has none itself has that of its tiles.
    (colour,) = read_colours(io.BytesIO(heif(5, items)))
    assert colour.video == (9, 16)
    assert read_colours(io.BytesIO(heif(5, {}))) == []


def test_the_colours_of_a_film():
    colr = files.box(b"colr", b"nclx" + struct.pack(">HHHB", 9, 18, 9, 0))
    boxes = files.box(b"stsd", bytes(8), files.box(b"av01", bytes(78), colr))
    for name in (b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        boxes = files.box(name, boxes)
    (colour,) = read_colours(io.BytesIO(files.box(b"ftyp", b"avis") + boxes))
    assert colour.video == (9, 18)


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    st.floats(0.1, 1),
)
def test_damaged_boxes_end(changes, kept):
    data = bytearray(heif(2, {1: (9, 16), 2: (12, 13)}))
    for where, value in changes:
        data[int(where * len(data))] = value
    with contextlib.suppress(struct.error, IndexError):  # which the reader of pictures remarks
        read_colours(io.BytesIO(data[: int(kept * len(data))]))


SRGB_ENDS, ADOBE_ENDS = (
    [value for x, y in ends for value in (x, y, 1 - x - y)]
    for ends in (
        ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)),
        ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)),
    )
)


def bmp(kind, endpoints=(0,) * 9, gamma=0.0, profile=b""):
    """A BMP of version 5 of IN_ADOBE."""
    rows = np.asarray(IN_ADOBE)[::-1, :, ::-1].tobytes()  # 144 bytes each, a multiple of 4
    start = 14 + 124
    head = struct.pack("<IiiHHIIiiII", 124, 48, 24, 1, 24, 0, len(rows), 0, 0, 0, 0)
    head += bytes(16) + kind + struct.pack("<9I", *(round(x * 2**30) for x in endpoints))
    head += struct.pack("<3I", *[round(gamma * 65536)] * 3)
    head += struct.pack("<4I", 4, 124 + len(rows), len(profile), 0)
    return struct.pack("<2sIII", b"BM", start + len(rows), 0, start) + head + rows + profile


@pytest.mark.parametrize(
    ("data", "is_adobe", "note"),
    [
        (bmp(b"BGRs"), False, None),
        (bmp(b"\0\0\0\0"), False, None),
        (bmp(b"\0\0\0\0", SRGB_ENDS, 2.2), False, None),
        (bmp(b"\0\0\0\0", ADOBE_ENDS, 2.2), True, None),
        (bmp(b"KNIL", profile=b"c:\\a.icc\0"), False, "another file"),
        (bmp(b"DEBM", profile=b"damaged"), False, "damaged"),
    ],
)
def test_bmp(tmp_path, data, is_adobe, note):
    (tmp_path / "a.bmp").write_bytes(data)
    picture = read_picture(tmp_path / "a.bmp")
    assert np.abs(picture.rgb - (CHART if is_adobe else np.asarray(IN_ADOBE, int))).max() <= 3
    assert [note in said for said in picture.notes] == [True] * bool(note)


def test_the_profile_in_a_bmp(tmp_path):
    matrix = np.array(
        [[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]]
    )
    (tmp_path / "a.bmp").write_bytes(bmp(b"DEBM", profile=files.matrix_profile(matrix, 2.2)))
    assert np.abs(read_picture(tmp_path / "a.bmp").rgb - CHART).max() <= 3
