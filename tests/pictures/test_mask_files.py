"""A folder of masks: one for each picture, of the same stem."""

from pathlib import Path

import pytest
from PIL import Image

from nst.errors import PictureError
from nst.pictures.mask_files import MaskFinder


@pytest.fixture
def masks(tmp_path):
    """The path of an empty mask below masks/, made on call."""

    def make(name):
        path = tmp_path / "masks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), 255).save(path)
        return path

    return make


@pytest.fixture
def find(tmp_path):
    """Find the masks of pictures among names."""

    def call(names, *pictures):
        return MaskFinder(tmp_path / "output").find("content_mask", names, pictures)

    return call


def test_each_picture_has_the_mask_of_its_stem(tmp_path, masks, find):
    one, two = masks("one.png"), masks("deep/two.webp")
    folder = str(tmp_path / "masks")
    assert find([folder], Path("one.jpg")) == [one]
    assert find([folder], Path("two.jpg"), Path("x/one.tif")) == [two, one]
    assert find([folder, str(two)], Path("one.jpg"), Path("one.jpg")) == [one, two]
    assert find([str(two)], Path("a.jpg"), Path("b.jpg")) == [two]  # a label picture for all


def test_of_several_that_which_lies_alike(tmp_path, masks, find):
    summer, winter = masks("summer/dog.png"), masks("winter/dog.png")
    folder = str(tmp_path / "masks")
    assert find([folder], Path("photos/winter/dog.jpg")) == [winter]
    assert find([folder], Path("summer/dog.jpg")) == [summer]
    with pytest.raises(PictureError, match=r"has several masks for dog.jpg: .*winter"):
        find([folder], Path("dog.jpg"))


def test_masks_that_are_missing_or_no_pictures(tmp_path, masks, find):
    masks("one.png")
    (tmp_path / "masks/two.png").write_bytes(b"no picture")
    folder = str(tmp_path / "masks")
    for picture, words in (
        (Path("dog.jpg"), r"masks: has no mask for dog.jpg, such as dog.png.*--content_mask"),
        (Path("two.jpg"), r"two.png: is not a picture"),
        (None, "a texture has no content"),
    ):
        with pytest.raises(PictureError, match=words):
            find([folder], picture)
