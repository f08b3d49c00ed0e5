"""Formats beside those of Pillow: HEIC, camera RAW, JPEG XL; PNG with large profiles or texts."""

import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from damage import CHANGES, KEPT, read_damaged
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from helpers import ROOT
from nst.errors import PictureError
from nst.pictures.camera_raw import EXTENSIONS
from nst.pictures.find import collect_pictures
from nst.pictures.missing_package import OPTIONAL
from nst.pictures.read import peek_size, read_picture

HEIC = Path(__file__).parent / "heic"  # made by pillow-heif, which can write them
with Image.open(ROOT / "images/temple.jpg") as shipped:
    PHOTO = shipped.resize((90, 60))
RGB = np.asarray(PHOTO, float)


def difference(path, expected=RGB):
    picture = read_picture(path)
    assert peek_size(path) == picture.file_size == picture.rgb.shape[1::-1]
    return np.abs(picture.rgb - expected).mean()


@pytest.mark.parametrize("name", ["turned", "ten_bits"])
def test_heic_is_read_upright(name):
    """``turned`` tells its rotation twice, in the container and in EXIF."""
    assert difference(HEIC / f"{name}.heic") < 4
    assert not read_picture(HEIC / f"{name}.heic").notes


@pytest.mark.parametrize("kind", [b"hvc1", b"Exif"])
def test_a_heic_that_would_crash_its_reader_is_refused(tmp_path, kind):
    data = (HEIC / "turned.heic").read_bytes()
    at = data.index(kind, data.index(b"infe"))
    (tmp_path / "a.heic").write_bytes(data[:at] + b"\xff" + data[at + 1 :])
    for look in (peek_size, read_picture):
        with pytest.raises(PictureError, match="damaged HEIC"):
            look(tmp_path / "a.heic")


def test_the_opacity_of_a_heic():
    opacity = np.asarray(Image.linear_gradient("L").resize((90, 60)))
    picture = read_picture(HEIC / "transparent.heic")
    assert np.abs(picture.transparency - opacity.astype(float)).mean() < 3
    expected = RGB * (opacity[:, :, None] / 255) + 255 - opacity[:, :, None]
    assert difference(HEIC / "transparent.heic", expected) < 5


@pytest.mark.parametrize(
    ("name", "data", "package", "words"),
    [
        ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "pi_heif", "-r requirements.txt"),
        ("a.heif", b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "pi_heif", "-r requirements.txt"),
        ("a.jxl", b"\xff\x0a\0\0", "pillow_jxl", f"-r {OPTIONAL}"),
        ("a.jxl", b"\0\0\0\x0cJXL \x0d\x0a\x87\x0a", "pillow_jxl", f"-r {OPTIONAL}"),
        ("a.raf", b"FUJIFILMCCD-RAW ", "rawpy", f"-r {OPTIONAL}"),
        ("a.orf", b"IIRO\x08\0\0\0", "rawpy", f"-r {OPTIONAL}"),
        ("a.rw2", b"IIU\0\x18\0\0\0", "rawpy", f"-r {OPTIONAL}"),
        ("a.cr2", b"II*\0\x10\0\0\0CR\2\0", "rawpy", f"-r {OPTIONAL}"),
        ("a.cr3", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "rawpy", f"-r {OPTIONAL}"),
        ("a.iiq", b"II*\0\x10\0\0\0IIIITwaR", "rawpy", f"-r {OPTIONAL}"),
        ("a.x3f", b"FOVb\0\0\2\0", "rawpy", f"-r {OPTIONAL}"),
        ("a.mp4", b"\0\0\0\x18ftypisom\0\0\0\0isomavc1", "av", "is a video"),
    ],
)
def test_the_refusal_names_what_would_read_it(tmp_path, monkeypatch, name, data, package, words):
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    path = tmp_path / name
    path.write_bytes(data + bytes(200))
    for look in (peek_size, read_picture):
        with pytest.raises(PictureError) as refusal:
            look(path)
        assert str(path) in str(refusal.value)
        assert words in str(refusal.value)


def write_raw(path, mosaic_in_page=False, make="NIKON CORPORATION"):
    """A RAW file like those of Nikon and Adobe: a preview, the mosaic of the sensor below it."""
    mosaic = np.random.default_rng(0).integers(0, 16383, (60, 90), dtype=np.uint16)
    pattern = [(33421, 3, 2, (2, 2), True), (33422, 1, 4, bytes([0, 1, 1, 2]), True)]
    with tifffile.TiffWriter(path) as file:
        if not mosaic_in_page:
            file.write(
                np.asarray(PHOTO.resize((16, 12))),
                photometric="rgb",
                subfiletype=1,
                subifds=1,
                metadata=None,
                extratags=[(271, 2, 0, make, True)],
            )
        file.write(mosaic, photometric=32803, subfiletype=0, metadata=None, extratags=pattern)


@pytest.mark.parametrize("name", ["DSC_1.NEF", "IMG_2.dng", "renamed.tif"])
@pytest.mark.parametrize("mosaic_in_page", [False, True])
def test_a_raw_file_is_never_read_as_its_preview(tmp_path, monkeypatch, name, mosaic_in_page):
    path = tmp_path / name
    write_raw(path, mosaic_in_page)
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(PictureError, match=f"camera RAW file.*{OPTIONAL}"):
        peek_size(path)
    Image.new("RGB", (4, 3)).save(tmp_path / "a.png")
    found = collect_pictures((str(tmp_path),), "content_image_filename", tmp_path / "out")
    assert [picture.name for picture, _ in found.pictures] == ["a.png"]
    if path.suffix.lower() in EXTENSIONS:
        assert "camera RAW" in found.left_out[path]


def test_a_tiff_with_the_name_of_a_raw_file_is_none_of_its_preview(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rawpy", None)
    PHOTO.save(tmp_path / "a.tif")
    (tmp_path / "a.tif").rename(tmp_path / "a.ARW")
    with pytest.raises(PictureError, match="camera RAW"):
        peek_size(tmp_path / "a.ARW")


@pytest.mark.parametrize("long_side", [None, 20])
def test_a_raw_file_is_developed_where_rawpy_is_installed(tmp_path, long_side):
    pytest.importorskip("rawpy", reason=f"not installed: pip install -r {OPTIONAL}")
    path = tmp_path / "a.dng"
    write_raw(path)
    assert peek_size(path) == (90, 60)
    picture = read_picture(path, long_side)
    assert picture.file_size == (90, 60)
    assert max(picture.rgb.shape) == (long_side or 90)
    assert "camera RAW" in picture.notes[0]
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(PictureError):
        read_picture(path)


def test_jpeg_xl_where_its_plugin_is_installed(tmp_path):
    reason = f"not installed: pip install -r {OPTIONAL}"
    pytest.importorskip("pillow_jxl", reason=reason)
    path, exif = tmp_path / "a.jxl", Image.Exif()
    for size in ((90, 60), (256, 128), (640, 360), (1000, 17), (3, 2000)):
        PHOTO.resize(size).save(path, lossless=True)
        assert difference(path, np.asarray(PHOTO.resize(size), float)) == 0
    exif[0x0112] = 6
    turned = PHOTO.transpose(Image.Transpose.ROTATE_90)
    turned.save(path, lossless=True, exif=exif.tobytes())  # EXIF says nothing of the codestream
    assert difference(path, np.asarray(turned, float)) == 0
    turned.save(tmp_path / "a.jpg", exif=exif, quality=95)
    with Image.open(tmp_path / "a.jpg") as image:
        image.save(path, lossless_jpeg=True)
    assert difference(path) < 5
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(PictureError):
        read_picture(path)
    huge = b"\xff\x0a" + ((0b11 << 1) | ((2**20 - 1) << 3) | (1 << 33)).to_bytes(60, "little")
    path.write_bytes(huge)
    for look in (peek_size, read_picture):
        with pytest.raises(PictureError, match="megapixels"):
            look(path)


def png_chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_with(*chunks, last=()):
    """The photo as PNG, with more chunks before and behind the pixels."""
    buffer = io.BytesIO()
    PHOTO.save(buffer, "PNG")
    data = buffer.getvalue()
    end = data.rindex(b"IEND") - 4
    return data[:33] + b"".join(chunks) + data[33:end] + b"".join(last) + data[end:]


def profile_of(size):
    """An sRGB profile that is followed by bytes that no tag of it names."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    data += np.random.default_rng(0).bytes(size)
    data[:4] = struct.pack(">I", len(data))
    return bytes(data)


LONG = zlib.compress(b'{"node":1}' * 400_000)
TEXTS = {
    "zTXt": png_chunk(b"zTXt", b"workflow\0\0" + LONG),
    "iTXt": png_chunk(b"iTXt", b"workflow\0\1\0\0\0" + LONG),
    "plain iTXt": png_chunk(b"iTXt", b"workflow\0\0\0\0\0" + b"x" * 2_000_000),
    "tEXt": png_chunk(b"tEXt", b"workflow\0" + b"x" * 2_000_000),
    "many": png_chunk(b"tEXt", b"workflow\0" + b"x" * 1_000_000) * 70,
    "profile": png_chunk(b"iCCP", b"p\0\0" + zlib.compress(profile_of(2_000_000))),
}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("place", ["before", "behind"])
def test_large_texts_of_a_png_are_passed_over(tmp_path, kind, place):
    if kind == "profile" and place == "behind":
        pytest.skip("a profile stands before the pixels")
    path = tmp_path / "a.png"
    path.write_bytes(png_with(TEXTS[kind]) if place == "before" else png_with(last=[TEXTS[kind]]))
    assert difference(path) <= 1
    assert not read_picture(path).notes


def test_a_large_profile_is_used_and_a_huge_one_left_out_with_a_remark(tmp_path):
    path = tmp_path / "a.png"
    bright = Image.new("RGB", (9, 6), (10, 200, 30))
    profile = bytearray(profile_of(1_500_000))
    at = profile.index(b"rXYZ", 128)
    red = int.from_bytes(profile[at + 4 : at + 8]) + 8
    profile[red : red + 12] = struct.pack(">3i", 0x9000, 0x4000, 0x300)
    bright.save(path, icc_profile=b"x")
    plain = path.read_bytes()
    start = plain.index(b"iCCP") - 4
    end = start + 12 + int.from_bytes(plain[start : start + 4])
    small = bytes(profile[: len(profile) - 1_500_000])
    small = struct.pack(">I", len(small)) + small[4:]
    seen = []
    for data in (small, bytes(profile)):
        chunk = png_chunk(b"iCCP", b"p\0\0" + zlib.compress(data))
        path.write_bytes(plain[:start] + chunk + plain[end:])
        picture = read_picture(path)
        assert not picture.notes
        seen.append(picture.rgb)
    assert (seen[0] == seen[1]).all()
    assert (seen[0] != np.asarray(bright)).any()
    huge = zlib.compress(bytes(40_000_000))
    path.write_bytes(png_with(png_chunk(b"iCCP", b"p\0\0" + huge)))
    picture = read_picture(path)
    assert "ICC profile is too large" in picture.notes[0]
    assert (picture.rgb == RGB).all()


def test_the_orientation_beside_a_large_text_is_kept(tmp_path):
    path, exif, texts = tmp_path / "a.png", Image.Exif(), PngImagePlugin.PngInfo()
    exif[0x0112] = 6
    texts.add_text("workflow", "x" * 3_000_000, zip=True)
    PHOTO.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif, pnginfo=texts)
    assert difference(path) == 0


@settings(max_examples=300)
@given(
    st.sampled_from(
        [path.read_bytes() for path in sorted(HEIC.iterdir())] + [png_with(TEXTS["zTXt"])]
    ),
    CHANGES,
    KEPT,
)
def test_damaged_files_are_read_or_refused(tmp_path, seed, changes, kept):
    read_damaged(tmp_path, seed, changes, kept)
