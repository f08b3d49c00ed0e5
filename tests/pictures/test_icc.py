"""ICC profiles of every class, on pictures of every mode."""

import io

import colour_files as files
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from helpers import ROOT
from nst.pictures.read import read_picture

with Image.open(ROOT / "images/temple.jpg") as shipped:
    PHOTO = shipped.convert("RGB").resize((60, 40))
GREY = PHOTO.convert("L")
RGB, LEVELS = np.asarray(PHOTO), np.asarray(GREY)

# Light to XYZ under D50 (B. Lindbloom); its inverse for sRGB
SRGB = np.array(
    [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.7141]]
)
ADOBE = np.array(
    [[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]]
)
WIDE = np.array([[0.79767, 0.13519, 0.03135], [0.28804, 0.71187, 0.00009], [0, 0, 0.82491]])  # ROMM


def encode(light):
    light = np.clip(light, 0, 1)
    return 255 * np.where(
        light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055
    )


def expected_rgb(levels, matrix, gamma):
    return encode((levels / 255) ** gamma @ (np.linalg.inv(SRGB) @ matrix).T)


def read(tmp_path, image, name, profile, **options):
    image.save(tmp_path / name, icc_profile=profile, **options)
    return read_picture(tmp_path / name)


@pytest.mark.parametrize("version", [0x02100000, 0x04200000])
@pytest.mark.parametrize("kind", [b"scnr", b"mntr", b"prtr", b"spac"])
@pytest.mark.parametrize("gamma", [1.8, 2.2])
@pytest.mark.parametrize("matrix", [SRGB, ADOBE, WIDE], ids=["srgb", "adobe", "wide"])
def test_matrix_profiles(tmp_path, matrix, gamma, kind, version):
    profile = files.matrix_profile(matrix, gamma, kind=kind, version=version)
    picture = read(tmp_path, PHOTO, "a.png", profile)
    gamma = round(gamma * 256) / 256
    assert np.abs(picture.rgb - expected_rgb(RGB, matrix, gamma)).max() < 2.5
    assert not picture.notes


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp", "a.avif", "a.jpg"])
@pytest.mark.parametrize("intent", [0, 1, 2, 3, 0x01000000])
def test_formats_and_intents(tmp_path, name, intent):
    profile = files.matrix_profile(ADOBE, 2.2, intent=intent)
    options = {
        "a.jpg": {"quality": 98, "subsampling": 0},
        "a.avif": {"quality": 98, "subsampling": "4:4:4"},
    }.get(name, {})
    options = {"lossless": True} if name == "a.webp" else options
    picture = read(tmp_path, PHOTO, name, profile, **options)
    assert np.abs(picture.rgb - expected_rgb(RGB, ADOBE, 2.2)).mean() < 3
    assert not picture.notes


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.2])
def test_grey_profiles(tmp_path, gamma, name):
    options = {"quality": 100} if name == "a.jpg" else {}
    picture = read(tmp_path, GREY, name, files.grey_profile(gamma), **options)
    expected = encode((LEVELS / 255) ** gamma)[..., np.newaxis]
    assert np.abs(picture.rgb - expected).mean() < (3 if name == "a.jpg" else 1)
    assert not picture.notes


def test_a_profile_for_colours_on_a_grey_picture(tmp_path):
    picture = read(tmp_path, GREY, "a.png", files.matrix_profile(ADOBE, 1.8))
    expected = encode((LEVELS / 255) ** 1.8)[..., np.newaxis]
    assert np.abs(picture.rgb - expected).max() < 2.5
    assert not picture.notes


def test_a_profile_for_grey_on_an_rgb_picture(tmp_path):
    picture = read(tmp_path, GREY.convert("RGB"), "a.png", files.grey_profile(1.8))
    assert np.abs(picture.rgb - encode((LEVELS / 255) ** 1.8)[..., np.newaxis]).max() < 2.5
    assert not picture.notes
    picture = read(tmp_path, PHOTO, "a.png", files.grey_profile(1.8))
    assert (picture.rgb == RGB).all()
    assert "is for GRAY pictures" in picture.notes[0]


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
def test_alpha_is_kept(tmp_path, mode):
    alpha = np.zeros((40, 60), np.uint8)
    alpha[:, 30:] = 255
    options = {}
    if mode == "P":
        image = PHOTO.quantize(64)
        key = options["transparency"] = image.getpixel((5, 5))
        alpha = np.where(np.asarray(image) == key, 0, 255)
    else:
        image = PHOTO.convert(mode)
        image.putalpha(Image.fromarray(alpha))
    picture = read(tmp_path, image, "a.png", files.matrix_profile(ADOBE, 2.2), **options)
    assert (picture.transparency == alpha).all()
    expected = expected_rgb(np.asarray(image.convert("RGB")), ADOBE, 2.2)
    off = np.abs(picture.rgb - expected)[alpha == 255]
    assert off.max() < 2.5


CORNERS = np.zeros((2, 2, 2, 2, 3))  # (C, M, Y, K) -> Lab, without gain: a table of 16 corners
for corner in np.ndindex(2, 2, 2, 2):
    *inks, black = corner
    CORNERS[corner] = ((100 - 25 * sum(inks)) * (1 - 0.9 * black), 40 * inks[1], 50 * inks[2])
RGB_CORNERS = np.zeros((2, 2, 2, 3))
for corner in np.ndindex(2, 2, 2):
    RGB_CORNERS[corner] = (100 * np.mean(corner), 60 * (corner[0] - corner[1]), -60 * corner[2])


def by_littlecms(image, profile, intent):
    profile = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return np.asarray(
        ImageCms.profileToProfile(
            image,
            profile,
            ImageCms.createProfile("sRGB"),
            renderingIntent=intent,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.NOOPTIMIZE,
        ),
        int,
    )


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
@pytest.mark.parametrize("intent", [0, 1])
def test_cmyk_profiles(tmp_path, intent, name):
    image = PHOTO.convert("CMYK")
    profile = files.lut_profile(b"CMYK", CORNERS, kind=b"prtr", intent=intent)
    picture = read(tmp_path, image, name, profile)
    expected = by_littlecms(image, profile, intent)
    assert np.abs(expected - RGB).mean() > 20  # it is another conversion than without the profile
    assert np.abs(picture.rgb - expected).mean() < (4 if name == "a.jpg" else 0.5)
    assert not picture.notes


def test_cmyk_without_a_profile_is_said_to_be_a_guess(tmp_path):
    picture = read(tmp_path, PHOTO.convert("CMYK"), "a.tif", None)
    assert "approximate" in picture.notes[0]


def test_profiles_with_tables(tmp_path):
    profile = files.lut_profile(b"RGB ", RGB_CORNERS, kind=b"scnr")
    picture = read(tmp_path, PHOTO, "a.png", profile)
    off = np.abs(picture.rgb - by_littlecms(PHOTO, profile, 0))
    assert np.quantile(off, 0.99) <= 1
    assert not picture.notes


@pytest.mark.parametrize(
    ("image", "profile", "word"),
    [
        (PHOTO, files.matrix_profile(ADOBE, 2.2, kind=b"link"), "links two devices"),
        (PHOTO, files.matrix_profile(ADOBE, 2.2, kind=b"abst"), "is an effect"),
        (PHOTO, files.icc(b"RGB ", {}, kind=b"nmcl"), "names single colours"),
        (PHOTO, files.lut_profile(b"CMYK", CORNERS, kind=b"prtr"), "is for CMYK pictures"),
        (GREY, files.lut_profile(b"CMYK", CORNERS, kind=b"prtr"), "is for CMYK pictures"),
        (PHOTO, files.icc(b"RGB ", {}), "is damaged"),
        (PHOTO, files.matrix_profile(ADOBE, 2.2)[:200], "is damaged"),
        (PHOTO.convert("CMYK"), files.matrix_profile(ADOBE, 2.2), "is for RGB pictures"),
    ],
)
def test_profiles_for_other_things_are_left_out_and_said(tmp_path, image, profile, word):
    picture = read(tmp_path, image, "a.tif", profile)
    assert np.abs(picture.rgb - np.asarray(image.convert("RGB"), int)).max() <= 1
    assert word in picture.notes[0]


def test_without_a_usable_profile_the_next_chunk_decides(tmp_path):
    data = files.png(RGB, 8, 2, files.iccp(b"damaged"), files.gama(1))
    (tmp_path / "a.png").write_bytes(data)
    picture = read_picture(tmp_path / "a.png")
    assert np.abs(picture.rgb - encode(RGB / 255)).max() <= 1
    assert len(picture.notes) == 1


def test_lab(tmp_path):
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    lab = ImageCms.profileToProfile(PHOTO, *profiles, outputMode="LAB")
    picture = read(tmp_path, lab, "a.tif", None)
    assert np.abs(picture.rgb - RGB.astype(int)).mean() < 2


@settings(max_examples=40)
@given(
    st.sampled_from([0, 2, 4, 6]),
    st.sampled_from(["matrix", "table", "grey"]),
    st.integers(0, 2**32 - 1),
)
def test_sixteen_bits_are_converted_as_they_are(tmp_path, colour_type, kind, seed):
    """Between the colours of the neighbouring levels of 8 bits, and exact where that is known."""
    if kind == "grey" and colour_type in (2, 6):
        return
    profile = {
        "matrix": files.matrix_profile(ADOBE, 1.0),
        "table": files.lut_profile(b"RGB ", RGB_CORNERS, kind=b"scnr"),
        "grey": files.grey_profile(1.0),
    }[kind]
    random = np.random.default_rng(seed)
    channels = files.CHANNELS[colour_type]
    samples = random.integers(0, 65536, (20, 20, channels)) // random.choice([1, 8, 64])
    if colour_type in (4, 6):
        samples[..., -1] = 65535
    (tmp_path / "a.png").write_bytes(files.png(samples, 16, colour_type, files.iccp(profile)))
    picture = read_picture(tmp_path / "a.png")
    colours = np.repeat(samples[..., :1], 3, axis=-1) if colour_type in (0, 4) else samples[..., :3]
    if kind == "table":
        image = Image.fromarray(np.rint(colours / 257).astype(np.uint8))
        off = np.abs(picture.rgb - by_littlecms(image, profile, 0))  # that has rounded levels
        assert np.quantile(off, 0.95) <= 4
    else:
        matrix = ADOBE if kind == "matrix" else SRGB
        off = np.abs(picture.rgb - expected_rgb(colours / 257, matrix, 1))
        assert np.quantile(off, 0.95) <= 2  # the others are dark and out of sRGB
        assert off.max() <= 8
