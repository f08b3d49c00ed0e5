"""High dynamic range: what was brought to it from a photo comes back as the photo."""

import io
import struct

import colour_files as files
import numpy as np
import pytest
from PIL import Image

from helpers import ROOT
from nst.pictures import hdr
from nst.pictures.read import read_picture

with Image.open(ROOT / "images/temple.jpg") as shipped:
    PHOTO = shipped.convert("RGB").resize((60, 40))
RGB = np.asarray(PHOTO, float)
LIGHT = np.where(RGB <= 10.31, RGB / 255 / 12.92, ((RGB / 255 + 0.055) / 1.055) ** 2.4)
TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])


def pq(cd):
    """SMPTE ST 2084: cd/m2 -> levels."""
    power = (cd / 10000) ** (2610 / 16384)
    return ((3424 + 2413 * 32 * power) / (4096 + 2392 * 32 * power)) ** (2523 * 128 / 4096)


def hlg(cd):
    """BT.2100 for a display of 1000 cd/m2: (..., 3) cd/m2 -> levels."""
    luminance = cd @ (0.2627, 0.6780, 0.0593) / 1000
    scene = cd / 1000 * np.maximum(luminance, 1e-9)[..., np.newaxis] ** (1 / 1.2 - 1)
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)


CURVES = {16: pq, 18: hlg}


def read(tmp_path, levels, depth, transfer):
    samples = np.rint(np.clip(levels, 0, 1) * (2**depth - 1)).astype(int)
    (tmp_path / "a.png").write_bytes(files.png(samples, depth, 2, files.cicp(9, transfer)))
    return read_picture(tmp_path / "a.png")


@pytest.mark.parametrize("transfer", CURVES)
@pytest.mark.parametrize("depth", [8, 16])
def test_no_brighter_than_white_is_left_alone(tmp_path, depth, transfer):
    levels = CURVES[transfer](203 * LIGHT @ TO_BT2020.T)
    picture = read(tmp_path, levels, depth, transfer)
    assert np.abs(picture.rgb - RGB).mean() < (3 if depth == 8 else 1)
    assert "HDR" in picture.notes[0]
    assert {16: "PQ", 18: "HLG"}[transfer] in picture.notes[0]


@pytest.mark.parametrize("transfer", CURVES)
@pytest.mark.parametrize("depth", [8, 16])
def test_highlights_are_compressed(tmp_path, depth, transfer):
    light = LIGHT.copy()
    light[:5] = np.linspace(1.2, 4.9, 60)[:, np.newaxis]  # a bright sky, up to 1000 cd/m2
    picture = read(tmp_path, CURVES[transfer](203 * light @ TO_BT2020.T), depth, transfer)
    sky = picture.rgb[0].mean(axis=1)
    assert (np.diff(sky.astype(int)) >= -2).all()  # all of it can still be told apart
    assert sky[0] < 240 < sky[-1]
    rest = picture.rgb[5:].astype(float)
    assert abs(rest.mean() - RGB[5:].mean()) < 25
    dark = RGB[5:].max(axis=2) < 60
    assert np.abs(rest - RGB[5:])[dark].mean() < 4


def test_grey_hdr(tmp_path):
    grey = np.asarray(PHOTO.convert("L"))[..., np.newaxis]
    light = np.where(grey <= 10.31, grey / 255 / 12.92, ((grey / 255 + 0.055) / 1.055) ** 2.4)
    samples = np.rint(pq(203 * light) * 255).astype(int)
    (tmp_path / "a.png").write_bytes(files.png(samples, 8, 0, files.cicp(9, 16)))
    assert np.abs(read_picture(tmp_path / "a.png").rgb - grey.astype(float)).mean() < 3


def test_an_icc_profile_that_says_it_is_pq(tmp_path):
    tag = {b"cicp": b"cicp\0\0\0\0" + bytes((9, 16, 0, 1))}
    profile = files.icc(b"RGB ", tag, version=0x04400000)
    levels = np.rint(255 * pq(203 * LIGHT @ TO_BT2020.T)).astype(np.uint8)
    Image.fromarray(levels).save(tmp_path / "a.png", icc_profile=profile)
    picture = read_picture(tmp_path / "a.png")
    assert np.abs(picture.rgb - RGB).mean() < 3
    assert "PQ" in picture.notes[0]


@pytest.mark.parametrize("peak", [0.5, 1, 1.5, 5, 49, 1000])
def test_the_curve(peak):
    levels = np.linspace(0, peak, 500)[:, np.newaxis]
    mapped = hdr.tone_map(levels, peak)[:, 0]
    assert (np.diff(mapped) >= -1e-6).all()
    assert (mapped <= levels[:, 0] + 1e-6).all()
    assert mapped[-1] == pytest.approx(min(peak, 1), abs=1e-6)
    assert mapped[:3] == pytest.approx(levels[:3, 0], rel=1e-3) or peak > 5


def test_the_base_of_a_gain_map_is_read(tmp_path):
    """An Ultra HDR photo: a JPEG, with a second one behind it that brightens it."""
    xmp = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><r hdrgm:Version="1.0"/></x:xmpmeta>'
    buffer = io.BytesIO()
    PHOTO.save(buffer, "JPEG", quality=95)
    data = buffer.getvalue()
    base = data[:2] + b"\xff\xe1" + struct.pack(">H", len(xmp) + 2) + xmp + data[2:]
    gain = io.BytesIO()
    Image.new("L", (15, 10), 200).save(gain, "JPEG")
    (tmp_path / "a.jpg").write_bytes(base + gain.getvalue())
    picture = read_picture(tmp_path / "a.jpg")
    assert np.abs(picture.rgb - RGB).mean() < 4
    assert not picture.notes
