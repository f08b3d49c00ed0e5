"""PNG of every kind: its levels, keys and chunks of colours."""

import colour_files as files
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers import QUICK, ROOT, pixels
from nst.errors import PictureError
from nst.pictures.read import read_picture

KINDS = [(d, 0) for d in (1, 2, 4, 8, 16)] + [(d, 3) for d in (1, 2, 4, 8)]
KINDS += [(d, t) for t in (2, 4, 6) for d in (8, 16)]

with Image.open(ROOT / "images/temple.jpg") as shipped:
    PHOTO = np.asarray(shipped.resize((45, 30)))
GREY = np.asarray(Image.fromarray(PHOTO).convert("L"))[..., np.newaxis]

# Light of other primaries to light of sRGB, as published (BT.2087, CSS Color 4, B. Lindbloom)
P3 = np.array([[1.2249, -0.2247, 0], [-0.0420, 1.0419, 0], [-0.0197, -0.0786, 1.0979]])
BT2020 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
)
ADOBE = np.array([[1.3984, -0.3984, 0], [0, 1, 0], [0, -0.0429, 1.0429]])


def light(levels):
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


def srgb(colours):
    colours = np.clip(colours, 0, 1)
    return 255 * np.where(
        colours <= 0.0031308,
        colours * 12.92,
        1.055 * np.maximum(colours, 1e-9) ** (1 / 2.4) - 0.055,
    )


def read(tmp_path, data):
    path = tmp_path / "a.png"
    path.write_bytes(data)
    return read_picture(path)


@settings(max_examples=150)
@given(
    st.sampled_from(KINDS),
    st.integers(1, 20),
    st.integers(1, 20),
    st.booleans(),
    st.lists(st.integers(0, 4), min_size=1, max_size=5),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_every_kind(tmp_path, kind, width, height, interlaced, filters, with_key, seed):
    depth, colour_type = kind
    random = np.random.default_rng(seed)
    shape = (height, width, files.CHANNELS[colour_type])
    few = random.integers(0, 2**depth, 4)  # few levels, so that keys are met
    samples = random.choice(few, shape) if with_key else random.integers(0, 2**depth, shape)
    chunks, top = [], 2**depth - 1
    colours, alpha = samples / top, np.ones(shape[:2])
    if colour_type == 3:
        palette = random.integers(0, 256, (2**depth, 3), dtype=np.uint8)
        opacity = random.integers(0, 256, 2**depth, dtype=np.uint8)
        chunks.append(files.chunk(b"PLTE", palette.tobytes()))
        colours = palette[samples[..., 0]] / 255
        if with_key:
            chunks.append(files.chunk(b"tRNS", opacity.tobytes()))
            alpha = opacity[samples[..., 0]] / 255
    elif colour_type in (4, 6):
        colours, alpha = colours[..., :-1], colours[..., -1]
    elif with_key:
        key = samples[0, 0]
        spare = 0 if depth == 16 else random.integers(0, 2 ** (16 - depth)) << depth
        chunks.append(files.chunk(b"tRNS", (key | spare).astype(">u2").tobytes()))
        alpha = 1.0 - (samples == key).all(axis=-1)
    assume(np.rint(255 * alpha).any())  # what hides all of a picture is not meant
    picture = read(
        tmp_path,
        files.png(samples, depth, colour_type, *chunks, interlaced=interlaced, filters=filters),
    )
    expected = np.rint(255 * colours) * alpha[..., np.newaxis] + 255 * (1 - alpha[..., np.newaxis])
    np.testing.assert_allclose(
        picture.rgb, np.broadcast_to(expected, (height, width, 3)), atol=1.01
    )
    opaque = (np.rint(255 * alpha) == 255).all()
    assert (picture.transparency is None) == opaque
    if not opaque:
        assert (picture.transparency == np.rint(255 * alpha)).all()


SAME = (light, np.eye(3))
POWER = {gamma: (lambda levels, gamma=gamma: levels**gamma) for gamma in (1, 1.8, 2.2)}
D65 = (0.3127, 0.3290)
ADOBE_CHRM = files.chrm(D65, (0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
BT709_CHRM = files.chrm(D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
LINEAR_ICC = files.iccp(
    files.matrix_profile(
        np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]]), 1
    )
)
CHUNKS = {  # chunks -> the transfer function and the matrix that count
    "nothing": ([], SAME),
    "gAMA 1": ([files.gama(1)], (POWER[1], np.eye(3))),
    "gAMA 1.8": ([files.gama(1 / 1.8)], (POWER[1.8], np.eye(3))),
    "gAMA of sRGB": ([files.gama(0.45455)], SAME),
    "gAMA and cHRM of sRGB": ([files.gama(0.45455), BT709_CHRM], SAME),
    "gAMA 1 and cHRM of sRGB": ([BT709_CHRM, files.gama(1)], (POWER[1], np.eye(3))),
    "gAMA and cHRM of Adobe RGB": ([files.gama(0.45455), ADOBE_CHRM], (POWER[2.2], ADOBE)),
    "cHRM alone": ([ADOBE_CHRM], (light, ADOBE)),
    "sRGB before gAMA": ([files.chunk(b"sRGB", b"\0"), files.gama(1), ADOBE_CHRM], SAME),
    "iCCP before sRGB": ([LINEAR_ICC, files.chunk(b"sRGB", b"\0")], (POWER[1], np.eye(3))),
    "iCCP before gAMA": ([LINEAR_ICC, files.gama(0.45455)], (POWER[1], np.eye(3))),
    "cICP of sRGB before all": ([files.cicp(1, 13), LINEAR_ICC, files.gama(1)], SAME),
    "cICP of P3": ([files.cicp(12, 13), files.gama(0.45455)], (light, P3)),
    "cICP of BT.2020": ([files.cicp(9, 14)], (light, BT2020)),
    "cICP linear": ([files.cicp(1, 8)], (POWER[1], np.eye(3))),
    "cICP gamma 2.2": ([files.cicp(2, 4)], (POWER[2.2], np.eye(3))),
    "cICP that says nothing": ([files.cicp(2, 2), files.gama(1)], (POWER[1], np.eye(3))),
}


@pytest.mark.parametrize("kind", [(8, 0), (16, 0), (8, 2), (16, 2), (16, 4), (8, 6), (16, 6)])
@pytest.mark.parametrize("name", CHUNKS)
def test_chunks_of_colours(tmp_path, name, kind):
    chunks, (transfer, matrix) = CHUNKS[name]
    depth, colour_type = kind
    top = 2**depth - 1
    samples = GREY if colour_type in (0, 4) else PHOTO
    if transfer is POWER[1]:  # dark levels differ in 16 bits alone
        samples = 255 * light(samples / 255)
    samples = np.rint(samples / 255 * top).astype(int)
    colours = transfer(samples / top)
    if colour_type in (4, 6):
        samples = np.concatenate([samples, np.full_like(samples[..., :1], top)], axis=-1)
    picture = read(tmp_path, files.png(samples, depth, colour_type, *chunks))
    if colours.shape[-1] == 3:
        colours = colours @ matrix.T
    off = np.abs(picture.rgb - srgb(colours))
    assert off.max() <= 2.01
    assert off.mean() < 0.6
    assert not picture.notes


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (files.gama(0), "gAMA"),
        (files.gama(9999), "gAMA"),
        (files.chrm(*[(0, 0)] * 4), "primaries"),
        (files.chrm(D65, *[(0.3, 0.3)] * 3), "primaries"),
        (files.cicp(9, 77), "cICP"),
        (files.cicp(1, 13, matrix=5), "cICP"),
        (files.iccp(b"no profile"), "ICC"),
    ],
)
def test_chunks_that_cannot_be_are_left_out_and_said(tmp_path, bad, word):
    picture = read(tmp_path, files.png(PHOTO, 8, 2, bad))
    assert (picture.rgb == PHOTO).all()
    assert word in picture.notes[0]
    assert len(picture.notes) == 1


@pytest.mark.parametrize("colour_type", [0, 2, 4, 6])
@pytest.mark.parametrize("side", [7, 20])
def test_deep_levels_are_shrunk_as_those_of_8_bits(tmp_path, side, colour_type):
    samples = np.kron(PHOTO if colour_type in (2, 6) else GREY, np.ones((3, 3, 1), int))
    if colour_type in (4, 6):
        alpha = np.zeros_like(samples[..., :1])
        alpha[20:, 30:] = 255
        samples = np.concatenate([np.where(alpha, samples, 0), alpha], axis=-1)
    pictures = []
    for depth, factor in ((8, 1), (16, 257)):
        path = tmp_path / f"{depth}.png"
        # gAMA, or 16 bits of grey would go through Pillow
        path.write_bytes(files.png(samples * factor, depth, colour_type, files.gama(1 / 1.8)))
        pictures.append(read_picture(path, side))
    one, other = pictures
    assert one.rgb.shape == other.rgb.shape
    off = np.abs(one.rgb.astype(int) - other.rgb)
    assert off.mean() < 3
    if colour_type in (4, 6):
        assert np.abs(one.transparency.astype(int) - other.transparency).mean() < 3


@pytest.mark.parametrize("depth", [8, 16])
def test_narrow_range(tmp_path, depth):
    unit = 2 ** (depth - 8)
    samples = np.rint((16 + PHOTO / 255 * 219) * unit).astype(int)
    picture = read(tmp_path, files.png(samples, depth, 2, files.cicp(1, 13, full=0)))
    assert np.abs(picture.rgb - PHOTO.astype(int)).max() <= 1


def test_more_saturated_than_its_levels_in_p3(tmp_path):
    colours = np.array([[[200, 80, 80], [80, 200, 80], [80, 80, 200]]])
    (red, green, blue) = read(tmp_path, files.png(colours, 8, 2, files.cicp(12, 13))).rgb[0]
    assert red[0] > 200 > 80 > red[1]
    assert green[1] > 200 > 80 > green[0]
    assert blue[2] > 200


def test_dark_levels_of_16_bits_are_said(tmp_path):
    samples = PHOTO.astype(int) * 16
    (note,) = read(tmp_path, files.png(samples, 16, 2)).notes
    assert f"its grey levels reach {samples.max()} of 65535" in note


def test_the_first_frame_of_an_animation(tmp_path):
    frames = [Image.fromarray(PHOTO), Image.new("RGB", (45, 30))]
    frames[0].save(tmp_path / "b.png", save_all=True, append_images=frames[1:])
    assert (read_picture(tmp_path / "b.png").rgb == PHOTO).all()


@settings(max_examples=300)
@given(
    st.sampled_from([(16, t) for t in (0, 2, 4, 6)] + [(4, 0)]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    st.floats(0.1, 1),
)
def test_damaged_deep_files_are_read_or_refused(tmp_path, kind, changes, kept):
    depth, colour_type = kind
    samples = np.zeros((30, 45, files.CHANNELS[colour_type]), int)
    key = files.chunk(b"tRNS", bytes(6))
    chunks = [files.cicp(9, 16), LINEAR_ICC, files.gama(1), key if colour_type < 4 else b""]
    data = bytearray(files.png(samples, depth, colour_type, *chunks))
    for where, value in changes:
        data[int(where**3 * len(data))] = value
    try:
        picture = read(tmp_path, data[: max(9, int(kept * len(data)))])
    except PictureError:
        return
    assert picture.rgb.dtype == np.uint8


def test_a_run_says_what_was_guessed_and_keeps_what_a_key_hides(nst, painting, tmp_path):
    samples = PHOTO.astype(int) * 257
    samples[:10], samples[10:20] = 0x8000, 0x80FF  # the key, and what has the same high byte
    key = files.chunk(b"tRNS", b"\x80\0" * 3)
    (tmp_path / "a.png").write_bytes(files.png(samples, 16, 2, files.cicp(9, 16), key))
    done = nst("--content_image_filename", "a.png", "--style_image_filename", painting, *QUICK)
    assert done.code == 0, done.err
    assert "an HDR picture (PQ)" in done.out + done.err
    alpha = pixels(tmp_path / "output/a__painting/generated_image.png")[..., 3]
    assert (alpha[:10] == 0).all()
    assert (alpha[10:] == 255).all()
