"""What a TIFF has beyond 8 bits counts until its colours are converted, as in a PNG."""

import colour_files as files
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiff_files import IN_LAB, OPACITY, PHOTO, RGB

from nst.pictures.read import read_picture

D50_ADOBE = np.array(
    [[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]]
)
PROFILES = {
    "matrix": files.matrix_profile(D50_ADOBE, 1.0),
    "grey": files.grey_profile(1.0),
}
INK = np.indices((2, 2, 2, 2)).transpose(1, 2, 3, 4, 0)  # 0 or 1 of cyan, magenta, yellow, black
C, M, Y, K = np.moveaxis(INK, -1, 0)
INKS = np.stack([(100 - 25 * (C + M + Y)) * (1 - K), 60 * (M - C) * (1 - K), 60 * (Y - M)], axis=-1)


def write(path, samples, profile=None, **options):
    tifffile.imwrite(
        path, np.ascontiguousarray(samples), metadata=None, iccprofile=profile, **options
    )


def turned(samples, orientation):
    """(H, W, channels) as a file of that orientation has it."""
    for axes, kept in (((1,), (2, 3, 6, 7)), ((0,), (3, 4, 7, 8))):
        if orientation in kept:
            samples = np.flip(samples, axes)
    return samples.swapaxes(0, 1) if orientation > 4 else samples


@settings(max_examples=60)
@given(
    st.sampled_from([1, 2, 3, 4]),
    st.sampled_from(["matrix", "grey"]),
    st.sampled_from(["u2", "u4", "f4", "f8"]),
    st.integers(1, 8),
    st.sampled_from([None, 30, 9]),
    st.integers(0, 2**32 - 1),
)
def test_a_tiff_is_converted_as_the_png_with_its_levels(
    tmp_path, channels, kind, numbers, orientation, side, seed
):
    random = np.random.default_rng(seed)
    samples = random.integers(0, 65536, (40, 33, channels)) // random.choice([1, 64])
    samples[0, 0] = 65535  # or numbers of 32 bits would be taken for those of 16
    if channels in (2, 4):
        samples[..., -1] //= 257
        samples[..., -1] *= 257
    kind = "grey" if channels < 3 else "matrix"
    profile = PROFILES[kind]
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    (tmp_path / "a.png").write_bytes(files.png(samples, 16, colour_type, files.iccp(profile)))
    stored = turned(samples, orientation)
    stored = stored / 65535 if numbers[0] == "f" else stored * (65537 if numbers == "u4" else 1)
    write(
        tmp_path / "a.tif",
        stored.astype(numbers).squeeze(-1) if channels == 1 else stored.astype(numbers),
        profile,
        photometric="minisblack" if channels < 3 else "rgb",
        planarconfig="contig" if channels > 1 else None,
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        extratags=[(274, 3, 1, orientation, True)],
    )
    of_png, of_tiff = (read_picture(tmp_path / name, side) for name in ("a.png", "a.tif"))
    assert of_tiff.file_size == of_png.file_size
    assert np.abs(of_tiff.rgb.astype(int) - of_png.rgb).max() <= 1
    assert (of_tiff.transparency is None) == (channels in (1, 3))
    if channels in (2, 4):
        assert np.abs(of_tiff.transparency.astype(int) - of_png.transparency).max() <= 1


def test_dark_levels_of_linear_light_are_not_cut_to_steps(tmp_path):
    """Of the 256 levels of sRGB, 8 bits of linear light reach 13 of the darkest 64."""
    ramp = np.linspace(0, 0.05, 400, dtype=np.float32)[np.newaxis, :, np.newaxis]
    samples = np.tile(ramp, (4, 1, 3))
    for numbers in (samples, np.rint(samples * 65535).astype(np.uint16)):
        write(tmp_path / "a.tif", numbers, PROFILES["matrix"], photometric="rgb")
        assert len(np.unique(read_picture(tmp_path / "a.tif").rgb[..., 1])) > 55


@pytest.mark.parametrize("numbers", ["u1", "u2"])
@pytest.mark.parametrize("profile", [None, files.lut_profile(b"CMYK", INKS, kind=b"prtr")])
@pytest.mark.parametrize("alpha", [False, True])
def test_inks(tmp_path, numbers, profile, alpha):
    """With an opacity and without, at both depths: the colours that Pillow's CMYK of 8 bits has."""
    inks = np.asarray(PHOTO.convert("CMYK"))
    Image.fromarray(inks, mode="CMYK").save(tmp_path / "plain.tif", icc_profile=profile)
    samples = np.concatenate([inks, np.full_like(OPACITY, 255)], axis=2) if alpha else inks
    if alpha:
        samples[:, :9, -1] = 0
    factor = {"u1": 1, "u2": 257}[numbers]
    write(
        tmp_path / "a.tif",
        samples.astype(numbers) * np.array(factor, numbers),
        profile,
        photometric="separated",
        extrasamples=["unassalpha"] if alpha else None,
    )
    expected, found = (read_picture(tmp_path / name) for name in ("plain.tif", "a.tif"))
    seen = np.s_[:, 9 * alpha :]
    assert np.abs(found.rgb[seen].astype(int) - expected.rgb[seen]).max() <= 1
    assert found.notes == expected.notes
    assert (found.transparency is not None) == alpha
    if alpha:
        assert (found.transparency == samples[..., -1]).all()
        assert (found.rgb[:, :9] == 255).all()


def test_lab_of_16_bits_has_more_colours_than_that_of_8(tmp_path):
    light = np.linspace(10, 30, 1000)
    samples = np.zeros((4, 1000, 3), np.uint16)
    samples[..., 0] = np.rint(light / 100 * 65535)
    samples[..., 1] = (np.linspace(-20, 20, 1000) * 256).astype(np.int16).view(np.uint16)
    write(tmp_path / "deep.tif", samples, photometric="cielab")
    eight = np.dstack([np.rint(samples[..., 0] / 257), samples[..., 1] >> 8, samples[..., 2]])
    write(tmp_path / "plain.tif", eight.astype(np.uint8), photometric="cielab")
    deep, plain = (read_picture(tmp_path / f"{name}.tif").rgb for name in ("deep", "plain"))
    assert np.abs(deep.astype(int) - plain).mean() < 2
    colours = [len(np.unique(rgb.reshape(-1, 3), axis=0)) for rgb in (deep, plain)]
    assert colours[0] > 1.3 * colours[1]


def test_lab_keeps_its_opacity(tmp_path):
    samples = np.concatenate([IN_LAB, OPACITY], axis=2)
    write(tmp_path / "a.tif", samples, photometric="cielab", extrasamples=["unassalpha"])
    picture = read_picture(tmp_path / "a.tif")
    assert (picture.transparency == OPACITY[..., 0]).all()
    on_white = RGB * (OPACITY / 255) + 255 - OPACITY
    assert np.abs(picture.rgb - on_white).mean() < 2
    assert picture.notes == ()


@pytest.mark.parametrize("numbers", ["u1", "u2", "f4"])
@pytest.mark.parametrize("form", [{}, {"byteorder": ">"}, {"bigtiff": True}])
def test_primaries_in_the_tags_count_at_every_depth(tmp_path, numbers, form):
    white, colours = (0.3127, 0.329), (0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
    tags = [
        (tag, 5, len(xy), [n for x in xy for n in (round(x * 10_000), 10_000)], True)
        for tag, xy in ((318, white), (319, colours))
    ]
    levels = RGB / 255 if numbers == "f4" else RGB.astype(int) * {"u1": 1, "u2": 257}[numbers]
    write(tmp_path / "a.tif", levels.astype(numbers), photometric="rgb", extratags=tags, **form)
    write(tmp_path / "plain.tif", RGB, photometric="rgb")
    picture, plain = (read_picture(tmp_path / name) for name in ("a.tif", "plain.tif"))
    assert picture.notes == ("no ICC profile: converted from the primaries in its metadata",)
    light = (RGB / 255) ** 2.2 @ np.array([[1.3984, -0.3984, 0], [0, 1, 0], [0, -0.0429, 1.0429]]).T
    light = np.clip(light, 0, 1)
    expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(picture.rgb - expected).max() <= 3
    assert np.abs(picture.rgb.astype(int) - plain.rgb).max() > 20


@pytest.mark.parametrize("side", [None, 5])
def test_deep_colours_that_their_opacity_hides_all_are_seen(tmp_path, side):
    samples = np.concatenate([RGB.astype(int) * 257, np.zeros_like(OPACITY, int)], axis=2)
    (tmp_path / "a.png").write_bytes(files.png(samples, 16, 6, files.gama(1 / 2.2)))
    write(tmp_path / "a.tif", samples.astype(np.uint16), PROFILES["matrix"], photometric="rgb")
    for name in ("a.png", "a.tif"):
        picture = read_picture(tmp_path / name, side)
        assert picture.notes == ("its transparency hides all of it and was ignored",)
        assert picture.rgb.std() > 20
