"""Any picture file in, safely."""

import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from damage import CHANGES, KEPT, read_damaged
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from helpers import ROOT
from nst.pictures.read import peek_size, read_picture, size_as_read
from nst.pictures.write import encode

with Image.open(ROOT / "images/temple.jpg") as shipped:
    PHOTO = shipped.resize((90, 60))
RGB = np.asarray(PHOTO, np.float32)
GREY = np.asarray(PHOTO.convert("L"))


def encoded(image, name, **options):
    """The bytes of ``image`` in the format of a file called ``name``."""
    buffer = io.BytesIO()
    image.save(buffer, Image.registered_extensions()["." + name.split(".")[-1]], **options)
    return buffer.getvalue()


def read(tmp_path, image, name, long_side=None, **options):
    path = tmp_path / name
    path.write_bytes(encoded(image, name, **options))
    return read_picture(path, long_side)


@pytest.mark.parametrize(
    ("name", "options", "error"),
    [
        ("a.png", {}, 0),
        ("a.bmp", {}, 0),
        ("a.tif", {}, 0),
        ("a.tif", {"compression": "tiff_lzw"}, 0),
        ("a.tif", {"compression": "jpeg"}, 6),
        ("a.jpg", {"quality": 95}, 4),
        ("a.jpg", {"quality": 95, "progressive": True}, 4),
        ("a.webp", {"lossless": True}, 0),
        ("a.webp", {"quality": 95}, 5),
        ("a.gif", {}, 8),
        ("a.avif", {"quality": 95}, 5),
        ("a.jp2", {}, 1),
        ("a.tga", {}, 0),
        ("a.ppm", {}, 0),
    ],
)
def test_formats(tmp_path, name, options, error):
    picture = read(tmp_path, PHOTO, name, **options)
    assert picture.rgb.shape == (60, 90, 3)
    assert picture.rgb.dtype == np.uint8
    assert np.abs(picture.rgb - RGB).mean() <= error
    assert picture.transparency is None
    assert picture.file_size == (90, 60)
    assert not picture.notes


def sixteen_bit_png(samples):
    """A 16-bit PNG, which Pillow cannot write for colours: (H, W) or (H, W, 2, 3 or 4) uint16."""
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]

    def chunk(tag, data):
        return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], 16, kind, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bit_png(tmp_path, channels):
    samples = (np.asarray(PHOTO) if channels > 2 else GREY[:, :, None]).astype(np.uint16) * 257
    if channels in (2, 4):
        alpha = np.full((60, 90, 1), 65535)
        samples = np.concatenate([samples, alpha], axis=2)
    path = tmp_path / "deep.png"
    path.write_bytes(sixteen_bit_png(samples[:, :, 0] if channels == 1 else samples))
    expected = RGB if channels > 2 else np.repeat(GREY[:, :, None], 3, axis=2)
    np.testing.assert_allclose(read_picture(path).rgb, expected, atol=1.01)


@pytest.mark.parametrize(
    ("image", "name"),
    [
        (Image.fromarray(GREY), "l.png"),
        (Image.fromarray(GREY).convert("LA"), "la.png"),
        (Image.fromarray(GREY).convert("P"), "p.png"),
        (Image.fromarray(GREY), "l.jpg"),
        (Image.fromarray(GREY.astype(np.uint16) * 257), "deep.tif"),
        (Image.fromarray(GREY.astype(np.int32) * 257), "deeper.tif"),
        (Image.fromarray(GREY.astype(np.float32) / 255), "float.tif"),
        (Image.fromarray(GREY.astype(np.float32)), "float255.tif"),
    ],
)
def test_greys(tmp_path, image, name):
    picture = read(tmp_path, image, name)
    expected = np.repeat(GREY[:, :, None].astype(np.float32), 3, axis=2)
    assert np.abs(picture.rgb - expected).mean() < 5
    assert picture.transparency is None


def test_floats_a_little_beyond_one_are_not_black(tmp_path):
    levels = GREY.astype(np.float32) / 250
    picture = read(tmp_path, Image.fromarray(levels), "a.tif")
    expected = np.clip(levels, 0, 1)[:, :, None] * 255
    np.testing.assert_allclose(picture.rgb, np.repeat(expected, 3, axis=2), atol=1)


def test_one_deep_grey_level(tmp_path):
    picture = read(tmp_path, Image.fromarray(np.full((4, 4), -5, np.float32)), "a.tif")
    assert picture.rgb.shape == (4, 4, 3)


def test_grey_levels_beyond_any_convention_are_mapped_and_said(tmp_path):
    picture = read(tmp_path, Image.fromarray(GREY.astype(np.float32) - 1000), "odd.tif")
    assert picture.rgb.min() == 0
    assert picture.rgb.max() == 255
    assert "were mapped" in picture.notes[0]


@pytest.mark.parametrize("name", ["cmyk.jpg", "cmyk.tif"])
def test_cmyk(tmp_path, name):
    assert np.abs(read(tmp_path, PHOTO.convert("CMYK"), name).rgb - RGB).mean() < 6


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg", "a.webp"])
def test_exif_rotation_is_applied(tmp_path, name, orientation):
    undo = {2: 0, 3: 1 + 2, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = PHOTO.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else PHOTO
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if name == "a.webp" else {"quality": 95}
    picture = read(tmp_path, stored, name, exif=exif, **options)
    assert picture.rgb.shape == RGB.shape
    assert picture.file_size == (90, 60)
    assert np.abs(picture.rgb - RGB).mean() < 4
    assert peek_size(tmp_path / name) == (90, 60)
    assert read_picture(tmp_path / name, 45).rgb.shape == (30, 45, 3)


def test_another_profile_is_converted_to_srgb(tmp_path):
    picture = read(tmp_path, PHOTO, "a.png", icc_profile=_gamma_profile(1.0))
    stored = RGB / 255
    expected = np.where(
        stored <= 0.0031308, stored * 12.92, 1.055 * np.maximum(stored, 1e-9) ** (1 / 2.4) - 0.055
    )
    assert np.abs(picture.rgb - 255 * expected).mean() < 2.5
    assert not picture.notes


def _gamma_profile(gamma):
    """A matrix profile with sRGB's primaries and a pure power curve."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", data[128:132])[0]
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    for index in range(count):
        entry = 132 + 12 * index
        if bytes(data[entry : entry + 4]) in (b"rTRC", b"gTRC", b"bTRC"):
            data[entry + 4 : entry + 12] = struct.pack(">II", len(data), len(curve))
    data += curve
    data[:4] = struct.pack(">I", len(data))
    return bytes(data)


def test_a_damaged_profile_is_left_out_and_said(tmp_path):
    picture = read(tmp_path, PHOTO, "a.png", icc_profile=b"garbage")
    assert (picture.rgb == RGB).all()
    assert "profile" in picture.notes[0]


def test_alpha_is_kept_and_shown_on_white(tmp_path):
    alpha = np.tile(np.linspace(0, 255, 90).astype(np.uint8), (60, 1))
    image = PHOTO.copy()
    image.putalpha(Image.fromarray(alpha))
    picture = read(tmp_path, image, "a.png")
    assert (picture.transparency == alpha).all()
    opacity = alpha[:, :, None] / 255
    np.testing.assert_allclose(picture.rgb, opacity * RGB + (1 - opacity) * 255, atol=1.01)
    small = read_picture(tmp_path / "a.png", 45)
    assert small.transparency.shape == (30, 45)
    saved = Image.open(io.BytesIO(encode(small.rgb, "png", small.transparency)))
    assert saved.mode == "RGBA"
    assert (np.asarray(saved)[:, :, 3] == small.transparency).all()


@pytest.mark.parametrize("mode", ["1", "P", "L", "RGB", "I;16"])
def test_transparent_colours(tmp_path, mode):
    image = PHOTO.convert(mode)
    key = image.getpixel((5, 5))
    picture = read(tmp_path, image, "a.png", transparency=key)
    assert picture.transparency[5, 5] == 0
    assert (picture.rgb[5, 5] == 255).all()


def test_the_first_frame_of_several(tmp_path):
    second = Image.new("RGB", PHOTO.size)
    for name, error in (("a.gif", 8), ("a.webp", 5), ("a.tif", 0)):
        picture = read(tmp_path, PHOTO, name, save_all=True, append_images=[second])
        assert np.abs(picture.rgb - RGB).mean() <= error


@settings(max_examples=60)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 400))
def test_any_size_keeps_its_aspect_and_is_never_enlarged(tmp_path, width, height, long_side):
    picture = read(tmp_path, Image.new("RGB", (width, height), "red"), "a.png", long_side)
    rows, columns, _ = picture.rgb.shape
    assert size_as_read(peek_size(picture.path), long_side) == (columns, rows)
    assert max(rows, columns) == min(long_side, max(width, height))
    scale = min(1, long_side / max(width, height))
    assert abs(rows - height * scale) <= 1
    assert abs(columns - width * scale) <= 1
    assert (picture.rgb == (255, 0, 0)).all()


def test_a_large_photo_is_shrunk_while_it_is_decoded(tmp_path):
    pytest.importorskip("resource")
    random = np.random.default_rng(0)
    noise = random.integers(0, 255, (500, 625, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((5000, 4000)).save(tmp_path / "big.jpg")
    script = (
        "import resource, sys; from pathlib import Path\n"
        "from nst.pictures.read import read_picture\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak(); shape = read_picture(Path(sys.argv[1]), 400).rgb.shape\n"
        "assert shape == (320, 400, 3)\n"
        "print(peak() - before)"
    )
    command = [sys.executable, "-c", script, tmp_path / "big.jpg"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    )
    assert int(done.stdout) < 40_000  # KB; whole, the picture takes 80 MB


BAD = {
    "empty.png": b"",
    "text.jpg": b"this is no picture\n" * 50,
    "page.png": b"<html><body>404</body></html>",
    "half.jpg": encoded(PHOTO, "a.jpg")[:1500],
    "half.png": encoded(PHOTO, "a.png")[:3000],
    "half.webp": encoded(PHOTO, "a.webp")[:600],
    "half.gif": encoded(PHOTO, "a.gif")[:900],
    "half.bmp": encoded(PHOTO, "a.bmp")[:3000],
    "half.tif": encoded(PHOTO, "a.tif")[:3000],
    **{
        f"{kind}.tif": encoded(PHOTO, "a.tif", compression=f"tiff_{kind}")[:1200]
        + b"\xaa" * 400
        + encoded(PHOTO, "a.tif", compression=f"tiff_{kind}")[1600:]
        for kind in ("lzw", "deflate")
    },
    "head.png": encoded(PHOTO, "a.png")[:20],
    "bomb.png": encoded(PHOTO, "a.png").replace(
        struct.pack(">II", 90, 60), struct.pack(">II", 60_000, 60_000)
    ),
    "photo.heic": b"\0\0\0\x18ftypheic" + b"\0" * 200,
    "photo.orf": b"IIRO\x08\0\0\0" + b"\0" * 200,
    "half_deep.tif": encoded(Image.fromarray(GREY.astype(np.uint16) * 257), "a.tif")[:3000],
    "script.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n",
    "nan.tif": encoded(Image.fromarray(np.full((4, 4), np.nan, np.float32)), "a.tif"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("flag", ["--content_image_filename", "--style_image_filename", "--init"])
def test_what_is_no_picture_is_refused_in_one_line(nst, tmp_path, name, flag):
    (tmp_path / name).write_bytes(BAD[name])
    done = nst(flag, name)
    assert done.code == 3
    assert done.err.count("\n") == 1
    assert name in done.err
    assert [path.name for path in tmp_path.iterdir()] == [name]


SEEDS = [
    encoded(PHOTO, "a.png"),
    encoded(PHOTO, "a.jpg"),
    encoded(PHOTO, "a.webp"),
    encoded(PHOTO, "a.gif"),
    encoded(PHOTO, "a.tif"),
    encoded(PHOTO, "a.bmp"),
    encoded(PHOTO.convert("P"), "a.png", transparency=0),
    encoded(PHOTO.convert("CMYK"), "a.tif", compression="tiff_deflate"),
    sixteen_bit_png(GREY.astype(np.uint16) * 257),
]


@settings(max_examples=1500)
@given(
    st.sampled_from(SEEDS),
    CHANGES,
    KEPT,
)
def test_damaged_files_are_read_or_refused(tmp_path, seed, changes, kept):
    read_damaged(tmp_path, seed, changes, kept)
