"""The finished picture as a file of every kind."""

import io
import json

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from helpers import QUICK, ROOT, pixels
from nst.errors import UsageError
from nst.pictures.write import EXIF_IFD, SOFTWARE, USER_COMMENT, check_side, encode, to_pixels

KINDS = ("png", "jpg", "webp", "tif")
WORDS = {"Software": "ünïcode", "Description": "a in the style of 画", "nst:identity": '{"a": 1}'}
with Image.open(ROOT / "images/temple.jpg") as shipped:
    RGB = np.asarray(shipped.resize((90, 61)), np.float32)
ALPHA = np.tile(np.linspace(0, 255, 90).astype(np.uint8), (61, 1))


def test_pixels_are_rounded_and_clipped():
    rgb = np.array([[[-5.0, 0.4, 0.6], [254.4, 254.6, 300.0]]])
    assert to_pixels(rgb).tolist() == [[[0, 0, 1], [254, 255, 255]]]
    deep = to_pixels(rgb, np.uint16).tolist()
    assert deep == [[[0, 103, 154], [65381, 65432, 65535]]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alpha", [None, ALPHA], ids=["opaque", "transparent"])
def test_every_kind_is_read_elsewhere_with_profile_and_provenance(kind, alpha):
    data = encode(RGB, kind, alpha, WORDS)
    assert data == encode(RGB, kind, alpha, WORDS)
    saved = Image.open(io.BytesIO(data))
    assert saved.format == {"jpg": "JPEG", "tif": "TIFF"}.get(kind, kind.upper())
    profile = ImageCms.ImageCmsProfile(io.BytesIO(saved.info["icc_profile"]))
    assert "sRGB" in ImageCms.getProfileDescription(profile)
    found = np.asarray(saved).astype(float)
    if alpha is not None and kind == "jpg":
        part = ALPHA[:, :, np.newaxis] / 255
        assert np.abs(found - (part * RGB + (1 - part) * 255)).mean() < 2
    else:
        assert np.abs(found[..., :3] - RGB).mean() < (2 if kind == "jpg" else 1)
        assert saved.mode == ("RGB" if alpha is None else "RGBA")
        if alpha is not None:
            assert (found[..., 3] == ALPHA).all()
    if kind in ("png", "webp"):
        assert (found[..., :3] == RGB).all()
    if kind == "png":
        assert {name: saved.text[name] for name in WORDS} == WORDS
    elif kind == "tif":
        assert json.loads(saved.tag_v2[270]) == WORDS
    else:
        exif = saved.getexif()
        assert exif[SOFTWARE] == "?n?code"
        comment = exif.get_ifd(EXIF_IFD)[USER_COMMENT]
        assert json.loads(comment.removeprefix(b"ASCII\0\0\0")) == WORDS


def test_tiff_has_sixteen_bits():
    between = np.full((4, 4, 3), 100.5, np.float32)
    found = tifffile.imread(io.BytesIO(encode(between, "tif")))
    assert found.dtype == np.uint16
    assert (found == round(100.5 * 257)).all()


def test_metadata_too_long_for_a_jpeg_are_left_out():
    long = {"Software": "x", "Description": "z" * 66_000, "nst:identity": "y" * 70_000}
    for kind in KINDS:
        saved = Image.open(io.BytesIO(encode(RGB, kind, metadata=long)))
        assert kind == "png" or saved.getexif()[SOFTWARE] == "x"


def test_a_side_that_a_format_cannot_hold():
    check_side("png", (20_000, 20))
    check_side("webp", (16_383, 20))
    with pytest.raises(UsageError, match="output_format: webp holds at most 16383"):
        check_side("webp", (20, 16_384))


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_line_makes_every_kind(nst, pair, photo, tmp_path, kind):
    clear = tmp_path / "clear.png"
    with Image.open(photo) as image:
        image.putalpha(77)
        image.save(clear)
    quiet = ("--learning_rate", 2)  # JPEG rounds loud noise by more
    command = ("--content_image_filename", clear, *pair[2:], *QUICK, *quiet)
    command += ("--output_format", kind)
    done = nst(*command)
    assert done.code == 0, done.err
    folder = tmp_path / "output/clear__painting"
    assert f"Picture   output/clear__painting/generated_image.{kind}" in done.out
    frame, result = pixels(folder / "frame_00004.png"), pixels(folder / f"generated_image.{kind}")
    assert (frame[:, :, 3] == 77).all()
    if kind == "jpg":
        white = frame[:, :, :3] * (77 / 255) + 255 * (1 - 77 / 255)
        assert np.abs(result - white).mean() < 2
    else:
        assert (result[:, :, 3] == 77).all()
        assert np.abs(result[:, :, :3].astype(float) - frame[:, :, :3]).mean() < 3
    assert "finished earlier" in nst(*command).out
    assert "clear__painting-2" in nst(*command, "--alpha", 11).out


def test_what_a_picture_tells_is_how_and_not_where(nst, pair, tmp_path):
    nst(*pair, *QUICK)
    with Image.open(tmp_path / "output/photo__painting/generated_image.png") as saved:
        text = saved.text
    assert text["Description"] == "photo.png in the style of painting.png"
    identity = json.loads(text["nst:identity"])
    assert identity["epochs"] == 4
    assert "VGG-19" in text["nst:network"]
    assert text["nst:precision"] == "float32"
    assert str(tmp_path) not in json.dumps(text)
