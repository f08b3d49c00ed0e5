"""The size of the result: exact, cropped, stretched, inside of a box, enlarged."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from helpers import QUICK, pixels
from nst.errors import PictureError, UsageError
from nst.pictures.fit import fit, read_fitted
from nst.runs.job import read_job
from nst.settings import Settings

SIDES = st.integers(1, 400)


def gradient(width, height):
    """A picture whose red tells the column and whose green the row, 0..255."""
    rows, columns = np.mgrid[0:height, 0:width]
    red, green = columns * 255 / max(width - 1, 1), rows * 255 / max(height - 1, 1)
    return np.rint(np.dstack([red, green, np.zeros_like(red)])).astype(np.uint8)


def save(path, width, height, **options):
    Image.fromarray(gradient(width, height)).save(path, **options)
    return path


@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from(["crop", "stretch", "inside"]), st.booleans())
def test_every_result_has_its_size(tmp_path_factory, width, height, wide, high, how, enlarge):
    path = save(tmp_path_factory.mktemp("fit") / "a.png", width, height)
    settings = Settings(image_size=(wide, high), fit=how, enlarge=enlarge)
    larger = wide > width or high > height
    if larger and not enlarge and how != "inside":
        with pytest.raises(PictureError, match=r"a.png: has .* --enlarge"):
            read_fitted(path, settings)
        return
    rows, columns = read_fitted(path, settings).rgb.shape[:2]
    assert (columns, rows) == fit(path, (width, height), settings).size
    if how != "inside":
        assert (columns, rows) == (wide, high)
    else:
        assert columns <= wide
        assert rows <= high
        if enlarge or not larger:
            assert columns == wide or rows == high
        assert abs(columns / width - rows / height) <= 1 / min(width, height)


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 300), st.booleans())
def test_a_long_side_is_enlarged_only_where_that_is_asked_for(
    tmp_path_factory, width, height, side, enlarge
):
    path = save(tmp_path_factory.mktemp("fit") / "a.png", width, height)
    shape = read_fitted(path, Settings(image_size=side, enlarge=enlarge)).rgb.shape[:2]
    assert max(shape) == (side if enlarge else min(side, max(width, height)))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("size", [(40, 40), (60, 20), (20, 60)])
def test_a_crop_is_the_middle_as_it_is_seen(tmp_path, orientation, size):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "a.png", 240, 120, exif=exif)
    whole = read_fitted(path, Settings(image_size="original")).rgb
    picture = read_fitted(path, Settings(image_size=size))
    rows, columns = whole.shape[:2]
    scale = min(columns / size[0], rows / size[1])
    high, wide = round(size[1] * scale), round(size[0] * scale)
    top, left = (rows - high) // 2, (columns - wide) // 2
    middle = Image.fromarray(whole[top : top + high, left : left + wide]).resize(size)
    assert np.abs(picture.rgb.astype(int) - np.asarray(middle)).max() <= 4
    (note,) = picture.notes
    assert "are left out" in note


def test_transparency_masks_and_a_start_image_are_cropped_with_the_photo(tmp_path):
    photo = Image.fromarray(gradient(120, 60))
    alpha = Image.linear_gradient("L").rotate(90).resize((120, 60))
    photo.putalpha(alpha)
    photo.save(tmp_path / "photo.png")
    mask = Image.fromarray(gradient(120, 60)[:, :, 0])
    mask.save(tmp_path / "mask.png")
    save(tmp_path / "start.png", 240, 120)
    settings = {
        "content_image_filename": tmp_path / "photo.png",
        "content_mask": tmp_path / "mask.png",
        "init": tmp_path / "start.png",
    }
    job = read_job(Settings(image_size=(40, 40), **settings))
    assert job.size == job.transparency.shape == job.content_masks[0].shape == (40, 40)
    columns = gradient(120, 60)[0, 30:90, 0]
    expected = np.asarray(Image.fromarray(columns[np.newaxis]).resize((40, 1)))[0].astype(int)
    for found in (255 * job.content_masks[0][20], job.start.rgb[job.start.rgb.shape[0] // 2, :, 0]):
        shown = np.interp(np.linspace(0, 1, 40), np.linspace(0, 1, len(found)), found)
        assert np.abs(shown - expected).max() < 6
    stretched = read_job(Settings(image_size=(40, 40), fit="stretch", **settings))
    assert stretched.content_masks[0][20, 0] < 0.02
    assert stretched.content_masks[0][20, -1] > 0.98


def test_a_photo_gets_exactly_the_size_or_is_refused(nst, pair, tmp_path):
    short = (*QUICK[2:], "--epochs", 1)
    done = nst(*pair, *short, "--image_size", "20x30")
    assert done.code == 0, done.err
    assert "cropped" in done.err
    folder = tmp_path / "output/photo__painting"
    assert pixels(folder / "generated_image.png").shape == (30, 20, 3)
    assert json.loads((folder / "run.json").read_text())["size"] == {"width": 20, "height": 30}
    again = nst("--from_run", folder, "--output_dir", "again")
    assert again.code == 0, again.err
    copy = tmp_path / "again/photo__painting/generated_image.png"
    assert copy.read_bytes() == (folder / "generated_image.png").read_bytes()

    refused = nst(*pair, *short, "--image_size", "60x30", "--output_dir", "refused")
    assert refused.code == 3
    assert "has 48 x 32 pixels, too few for --image_size 60x30; add --enlarge" in refused.err
    assert refused.err.count("\n") == 1
    assert not (tmp_path / "refused").exists()
    for options, shape in ((("60x30",), (30, 60, 3)), ((96,), (64, 96, 3))):
        large = nst(*pair, *short, "--enlarge", "--image_size", *options, "--output_dir", "large")
        assert large.code == 0, large.err
        picture = large.out.splitlines()[-1].removeprefix("Picture   ")
        assert pixels(tmp_path / picture).shape == shape


def test_a_batch_tells_which_photos_are_too_small(nst, pair, painting, tmp_path):
    command = ("--content_image_filename", pair[1], painting, *pair[2:], *QUICK[2:])
    done = nst(*command, "--image_size", "46x20", "--dry_run")
    assert done.code == 1
    assert "painting.png: has 44 x 33 pixels, too few" in done.out
    assert "46 x 20" in done.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"image_size": (20, 20), "alpha": 0, "content_image_filename": "a.png"}, "drop"),
        ({"image_size": (20, 20), "content_image_filename": None}, "give one, or --alpha 0"),
        ({"fit": "cover"}, "fit must be"),
        ({"enlarge": "yes"}, "enlarge must be"),
    ],
)
def test_sizes_that_make_no_sense(options, words):
    with pytest.raises(UsageError, match=words):
        Settings(**options)


def test_a_result_that_nobody_can_hold_is_refused(tmp_path):
    path = save(tmp_path / "a.png", 30, 20)
    with pytest.raises(PictureError, match="smaller --image_size"):
        read_fitted(path, Settings(image_size=100_000, enlarge=True))
