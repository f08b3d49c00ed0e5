"""Label pictures: each colour a region, by palette index, grey level or colour."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nst.errors import PictureError
from nst.pictures.mask_planes import open_mask, region_planes

LABELS = np.zeros((64, 96), np.uint8)  # 0 the ground, 1 a bar, 2 a box before it
LABELS[:, 30:60] = 1
LABELS[20:50, 50:90] = 2
BLACK, RED, BLUE = (0, 0, 0), (255, 0, 0), (0, 0, 255)
RGB = Image.fromarray(np.array([BLACK, RED, BLUE], np.uint8)[LABELS])
LOSSY = 0.01  # share of the pixels at borders of compressed pictures that may be elsewhere


def with_palette(indices, *colours):
    image = Image.frombytes("P", indices.shape[::-1], indices.tobytes())
    image.putpalette([level for colour in colours for level in colour])
    return image


def regions(path, image, styles, named=(), **options):
    image.save(path, **options)
    names = [f"{number}.jpg" for number in range(1, styles + 1)]
    return region_planes(open_mask(path, "content_mask"), names, named)


def with_void(indices):
    """Labels with a border of the number 255, as in Pascal VOC."""
    bordered = indices.copy()
    bordered[:, 29:31] = 255
    return bordered


def transparent():
    image = RGB.copy()
    image.putalpha(Image.fromarray(np.where(LABELS == 0, 0, 255).astype(np.uint8)))
    return image


VOC = [BLACK, (128, 0, 0), (0, 128, 0), *[BLACK] * 252, (224, 224, 192)]
EXACT = {  # a picture -> the labels in ascending order
    "levels": (Image.fromarray(LABELS), [0, 1, 2]),
    "levels of 16 bits": (Image.fromarray(LABELS.astype(np.uint16)), [0, 1, 2]),
    "large numbers": (Image.fromarray(LABELS.astype(np.uint16) * 1000), [0, 1, 2]),
    "palette": (with_palette(LABELS, (9, 9, 9), (1, 200, 1), (0, 0, 9)), [0, 1, 2]),
    "greys": (Image.fromarray(LABELS * 100), [0, 1, 2]),
    "colours": (RGB, [0, 2, 1]),
    "transparent colours": (transparent(), [0, 2, 1]),
    "a chosen palette": (RGB.quantize(3), [0, 2, 1]),
}


@pytest.mark.parametrize("kind", EXACT)
def test_each_label_is_a_region_in_ascending_order(tmp_path, kind):
    image, order = EXACT[kind]
    for styles, expected in ((3, order), (2, order[1:])):  # the first is the background
        planes, (note,) = regions(tmp_path / "labels.png", image, styles)
        for plane, label in zip(planes, expected):
            assert (plane == 255 * (label == LABELS)).all()
        assert note.count(" -> ") == styles
        assert "1.jpg" in note
        assert ("not painted" in note) == (styles == 2)


@pytest.mark.parametrize("kind", EXACT)
def test_another_number_of_labels_than_styles_is_refused(tmp_path, kind):
    for styles in (1, 4):
        with pytest.raises(PictureError, match=r"has 3 colours .* for . styles.*--mask_colors"):
            regions(tmp_path / "labels.png", EXACT[kind][0], styles)


@pytest.mark.parametrize(
    "image", [Image.fromarray(with_void(LABELS)), with_palette(with_void(LABELS), *VOC)]
)
@pytest.mark.parametrize("styles", [2, 3])
def test_the_number_255_is_in_no_region(tmp_path, image, styles):
    planes, (note,) = regions(tmp_path / "labels.png", image, styles)
    for plane, label in zip(planes, range(3 - styles, 3)):
        assert (plane == 255 * (with_void(LABELS) == label)).all()
    assert "255" in note.split("not painted")[1]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("labels.jpg", {"quality": 75}),
        ("labels.jpg", {"quality": 40}),
        ("labels.webp", {"quality": 60}),
        ("labels.png", {}),
    ],
)
def test_pixels_between_the_colours_go_to_the_nearest(tmp_path, name, options):
    size = (300, 200)
    image = RGB.resize(size, Image.Resampling.BICUBIC)
    planes, (note,) = regions(tmp_path / name, image, 2, **options)
    for plane, label in zip(planes, (2, 1)):
        mask = Image.fromarray((label == LABELS).astype(np.uint8)).resize(size, 0)
        assert (np.asarray(mask) != plane / 255).mean() < LOSSY
    assert "went to the nearest" in note
    again, notes = regions(tmp_path / name, image, 2, [("#ff0000", 2), ("#0000ff", 1)], **options)
    assert all((one == other).all() for one, other in zip(planes, again))
    assert notes == [note]


@given(st.data())
def test_every_labelling_comes_back_in_every_kind_of_file(tmp_path, data):
    count = data.draw(st.integers(2, 12))
    seed = data.draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    small = random.permutation(np.arange(24) % count).reshape(4, 6)
    labels = small.repeat(3, axis=0).repeat(2, axis=1).astype(np.uint8)
    colours = np.unique(random.integers(1, 256, (64, 3)), axis=0)
    colours = random.permutation(colours)[:count].astype(np.uint8)
    kind = data.draw(st.sampled_from(["level", "deep", "index", "colour"]))
    image = {
        "level": lambda: Image.fromarray(labels + 1),
        "deep": lambda: Image.fromarray(labels.astype(np.uint16) * 77 + 1),
        "index": lambda: with_palette(labels, *colours.tolist()),
        "colour": lambda: Image.fromarray(colours[labels]),
    }[kind]()
    order = list(range(count))
    if kind == "colour":
        order.sort(key=lambda label: tuple(colours[label]))
    planes, _ = regions(tmp_path / "labels.png", image, count)
    for plane, label in zip(planes, order):
        assert (plane == 255 * (labels == label)).all()
    names = {
        "level": [str(label + 1) for label in range(count)],
        "deep": [str(77 * label + 1) for label in range(count)],
        "index": [str(label) for label in range(count)],
        "colour": ["#{:02x}{:02x}{:02x}".format(*colour) for colour in colours],
    }[kind]
    styles = random.permutation(count)
    named = [(name, int(style) + 1) for name, style in zip(names, styles)]
    planes, _ = regions(tmp_path / "labels.png", image, count, named)
    for label, style in enumerate(styles):
        assert (planes[style] == 255 * (labels == label)).all()


def test_several_colours_for_one_style_and_thin_lines(tmp_path):
    thin = LABELS.copy()
    thin[:, 10] = 3  # no block of 2 x 2
    image = with_palette(thin, BLACK, RED, BLUE, (0, 255, 0))
    both, notes = regions(tmp_path / "labels.png", image, 1, [("#ff0000", 1), ("3", 1)])
    assert (both[0] == 255 * ((thin == 1) | (thin == 3))).all()
    _, notes = regions(tmp_path / "labels.png", image, 1, [("#ff0000", 1), ("7", 1)])
    assert notes[0] == "it has no 7"


@pytest.mark.parametrize(
    ("name", "word"), [("#00ff00", "has no #00ff00"), ("2", "has no 2"), ("#fe0000", "#ff0000 26")]
)
def test_a_colour_that_is_not_there_is_refused(tmp_path, name, word):
    with pytest.raises(PictureError) as refused:
        regions(tmp_path / "labels.png", RGB, 1, [(name, 1)])
    assert word in str(refused.value)
    assert "the region of style 1" in str(refused.value)


def test_pictures_that_are_no_label_pictures(tmp_path, temple):
    for image in (temple, np.random.default_rng(0).integers(0, 256, (40, 60, 3))):
        with pytest.raises(PictureError, match="is no label picture"):
            regions(tmp_path / "labels.png", Image.fromarray(image.astype(np.uint8)), 2)
