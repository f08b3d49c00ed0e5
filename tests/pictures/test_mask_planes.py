"""Masks as programs and people save them: of every depth, palette and colour, soft and turned."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nst.errors import PictureError
from nst.pictures.mask_planes import fit_plane, mask_plane, open_mask
from nst.pictures.read import read_picture
from nst.pictures.resize import resize

LEFT = np.zeros((40, 60), np.uint8)
LEFT[:, :30] = 1
RAMP = np.tile(np.linspace(0, 255, 60).astype(np.uint8), (40, 1))
PALETTE = (0, 0, 0), (99, 0, 0), (0, 99, 0)


def painted(colour, mask=LEFT, background=(0, 0, 0)):
    """A picture of a colour inside a 0/1 mask."""
    return Image.fromarray(np.where(mask[..., np.newaxis], colour, background).astype(np.uint8))


def with_palette(indices, *colours):
    image = Image.fromarray(indices).convert("L")
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette([level for colour in colours for level in colour])
    return image


def with_alpha(colour, alpha):
    image = Image.new("RGB", alpha.shape[::-1], colour)
    image.putalpha(Image.fromarray(alpha))
    return image


def cut_out(temple):
    image = Image.fromarray(temple.astype(np.uint8)).resize((60, 40))
    image.putalpha(Image.fromarray(LEFT * 255))
    return image


def saved(path, image, **options):
    image.save(path, **options)
    return open_mask(path, "content_mask")


WHOLE_LEVELS = {
    "8 bits": (LEFT * 255, ""),
    "1 bit": (LEFT.astype(bool), ""),
    "0/1": (LEFT, "0/1 mask"),
    "0/1 of 16 bits": (LEFT.astype(np.uint16), "0/1 mask"),
    "0/1 of 32 bits": (LEFT.astype(np.int32), "0/1 mask"),
    "0/1 of floats": (LEFT.astype(np.float32), ""),
    "0/255 of 16 bits": (LEFT.astype(np.uint16) * 255, "of 8 bits"),
    "10 bits in 16": (LEFT.astype(np.uint16) * 1023, "of 10 bits"),
    "12 bits in 16": (LEFT.astype(np.uint16) * 4095, "of 12 bits"),
    "16 bits": (LEFT.astype(np.uint16) * 65535, ""),
}


@pytest.mark.parametrize("kind", WHOLE_LEVELS)
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_a_mask_of_two_levels_is_black_and_white(tmp_path, kind, ending):
    levels, word = WHOLE_LEVELS[kind]
    if ending == "png" and levels.dtype in (np.int32, np.float32):
        ending = "tif"  # PNG has no such levels
    mask = saved(tmp_path / f"mask.{ending}", Image.fromarray(levels))
    plane, notes = mask_plane(mask)
    assert (plane == LEFT * 255).all()
    assert len(notes) == bool(word)
    assert word in "".join(notes)


IN_COLOURS = {
    "blue": painted((0, 0, 255)),
    "dark red": painted((128, 0, 0)),
    "VOC": with_palette(LEFT, (0, 0, 0), (128, 0, 0)),
    "colours at random": with_palette(LEFT, (31, 119, 180), (255, 127, 14)),
    "black last": with_palette(1 - LEFT, (255, 0, 0), (0, 0, 0)),
    "transparent black": with_alpha("black", LEFT * 255),
    "transparent white": with_alpha("white", LEFT * 255),
    "transparent red": with_alpha("red", LEFT * 255),
    "alpha of 0/1": with_alpha("black", LEFT),
}


@pytest.mark.parametrize("kind", IN_COLOURS)
def test_a_mask_in_one_colour_is_that_colour(tmp_path, kind):
    plane, notes = mask_plane(saved(tmp_path / "mask.png", IN_COLOURS[kind]))
    assert (plane == LEFT * 255).all()
    assert any("counts as white" in note or "transparency is the mask" in note for note in notes)


def test_white_may_be_the_first_of_a_palette(tmp_path):
    image = with_palette(1 - LEFT, (255, 255, 255), (0, 0, 0))
    assert (mask_plane(saved(tmp_path / "mask.png", image))[0] == LEFT * 255).all()


def test_the_mask_of_a_cut_out_photo_is_its_transparency(tmp_path, temple):
    plane, notes = mask_plane(saved(tmp_path / "mask.png", cut_out(temple)))
    assert (plane == LEFT * 255).all()
    assert notes == ["its transparency is the mask, and not its colours"]


@pytest.mark.parametrize("name", ["mask.jpg", "mask.webp", "mask.png"])
def test_soft_and_compressed_borders_of_a_coloured_mask(tmp_path, name):
    image = painted((0, 0, 255)).rotate(20, Image.Resampling.BICUBIC)
    white = Image.fromarray(LEFT * 255).rotate(20, Image.Resampling.BICUBIC)
    plane, _ = mask_plane(saved(tmp_path / name, image))
    error = 1 if name.endswith("png") else 10  # colours are stored at half the resolution
    assert np.abs(plane.astype(float) - np.asarray(white)).mean() < error


@pytest.mark.parametrize("name", ["mask.png", "mask.tif", "mask.jpg"])
def test_a_soft_mask_keeps_its_shades(tmp_path, name):
    plane, notes = mask_plane(saved(tmp_path / name, Image.fromarray(RAMP)))
    assert np.abs(plane.astype(int) - RAMP).max() <= (4 if name.endswith("jpg") else 0)
    assert notes == []
    half, notes = mask_plane(saved(tmp_path / name, Image.fromarray(RAMP // 2)))
    assert np.abs(half.astype(int) - RAMP // 2).max() <= 4
    assert "brightest level is 12" in notes[0]
    assert "the style counts 0." in notes[0]


@given(st.integers(0, 2**32 - 1), st.sampled_from(["L", "RGB", "I;16"]), st.integers(90, 255))
def test_shades_are_read_as_they_are(tmp_path, seed, mode, brightest):
    levels = np.random.default_rng(seed).integers(0, brightest + 1, (9, 14)).astype(np.uint8)
    levels[4, 4] = brightest
    image = Image.fromarray(levels).convert("RGB" if mode == "RGB" else "L")
    if mode == "I;16":
        image = Image.fromarray(levels.astype(np.uint16) * 257)
    plane, notes = mask_plane(saved(tmp_path / "mask.png", image))
    assert (plane == levels).all()
    assert len(notes) == (brightest < 250)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (Image.fromarray(LEFT * 0), "is black; its brightest level is 0 of 255"),
        (Image.fromarray(LEFT * 2), "brightest level is 2 of 255"),
        (Image.fromarray(LEFT.astype(np.uint16) * 3000), "brightest level is 3000 of 65535"),
        (Image.fromarray(LEFT + 255 * (RAMP > 240).astype(np.uint8)), "has the levels 0, 1, 255"),
        (painted((255, 0, 0), background=(0, 0, 255)), "2 colours for one style (#0000ff 50 %"),
        (painted((255, 0, 0), background=(255, 255, 255)), "--mask_colors '#"),
        (with_palette(LEFT + 2 * (RAMP > 200).astype(np.uint8), *PALETTE), "2 colours for"),
    ],
)  # fmt: skip
def test_masks_that_would_weigh_nothing_or_are_not_clear(tmp_path, image, words):
    mask = saved(tmp_path / "mask.png", image)
    with pytest.raises(PictureError) as refused:
        mask_plane(mask)
    assert words in str(refused.value)
    assert "mask.png" in str(refused.value)


def test_a_photo_counts_by_its_brightness(tmp_path, temple):
    photo = temple.astype(np.uint8)
    plane, notes = mask_plane(saved(tmp_path / "mask.png", Image.fromarray(photo)))
    assert np.abs(plane - photo.mean(axis=2)).max() <= 0.51
    assert "brightness counts" in notes[0]


# --- The shape ------------------------------------------------------------------------------------

CORNER = np.zeros((40, 60), np.uint8)
CORNER[:13, :20] = 255


def photo_file(path, orientation):
    """A photo, stored as 60 x 40."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (60, 40), "gray").save(path, exif=exif)
    return read_picture(path)


def fitted(path: Path, mask, picture, **options):
    file = saved(path, mask, **options)
    plane, _ = mask_plane(file)
    return fit_plane(plane, file, picture, picture.rgb.shape[:2])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_mask_of_the_stored_pixels_is_turned_as_the_photo(tmp_path, orientation):
    picture = photo_file(tmp_path / "photo.jpg", orientation)
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright, notes = fitted(tmp_path / "same.png", Image.fromarray(CORNER), picture, exif=exif)
    assert notes == []  # turned by its own EXIF data
    stored, notes = fitted(tmp_path / "stored.png", Image.fromarray(CORNER), picture)
    if orientation >= 5:
        assert (stored == upright).all()
        assert notes == ["it was turned as EXIF turns its picture"]
    else:
        assert notes == [] if orientation == 1 else "taken to be upright" in notes[0]


@pytest.mark.parametrize("orientation", range(5, 9))
def test_a_mask_that_alone_is_turned_is_turned_back(tmp_path, orientation):
    picture = photo_file(tmp_path / "photo.jpg", 1)
    exif = Image.Exif()
    exif[0x0112] = orientation
    mask, notes = fitted(tmp_path / "mask.png", Image.fromarray(CORNER), picture, exif=exif)
    assert (mask == CORNER / np.float32(255)).all()
    assert "not turned as its EXIF says" in notes[0]


def test_shapes_of_masks(tmp_path):
    picture = photo_file(tmp_path / "photo.jpg", 1)
    square = Image.fromarray(CORNER).resize((30, 30))
    mask, notes = fitted(tmp_path / "square.png", square, picture)
    assert mask.shape == (40, 60)
    assert notes == ["it was stretched from the shape 30 x 30 to 60 x 40"]
    assert (
        fitted(tmp_path / "large.png", Image.fromarray(CORNER).resize((181, 121)), picture)[1] == []
    )
    with pytest.raises(PictureError, match="lies on its side: 40 x 60, for a picture of 60 x 40"):
        fitted(tmp_path / "side.png", Image.fromarray(CORNER.T.copy()), picture)
    dot = np.zeros((400, 600), np.uint8)
    dot[5:8, 5:8] = 255
    with pytest.raises(PictureError, match=r"dot.png: a region covers 0.00.* %"):
        fitted(tmp_path / "dot.png", Image.fromarray(dot), picture)


def test_a_grey_mask_is_resized_as_ever(tmp_path):
    levels = np.random.default_rng(0).integers(0, 256, (133, 200)).astype(np.uint8)
    picture = photo_file(tmp_path / "photo.jpg", 1)
    mask, _ = fitted(tmp_path / "mask.png", Image.fromarray(levels), picture)
    shades = read_picture(tmp_path / "mask.png", 60).rgb.mean(axis=2, dtype=np.float32) / 255
    assert (mask == resize(shades, (40, 60))).all()
