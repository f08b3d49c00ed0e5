"""Names on a command line -> picture files. Folders and globs: tests/runs/test_batch.py."""

import os

import pytest
from PIL import Image

from nst.errors import PictureError
from nst.pictures.find import SHIPPED, find_picture, shipped_picture


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "folder"),
        (lambda path: os.mkfifo(path), "regular file"),
        (lambda path: path.symlink_to(path), "--content_image_filename"),
        (lambda path: path.symlink_to("/dev/zero"), "regular file"),
        (lambda path: (path.write_bytes(b"x"), path.chmod(0)), "permission"),
    ],
)
def test_what_is_no_file_is_refused(nst, tmp_path, make, word):
    make(tmp_path / "thing")
    before = list(tmp_path.iterdir())
    if word == "permission" and os.access(before[0], os.R_OK):
        pytest.skip("this user may read everything")
    done = nst("--content_image_filename", "thing")
    assert done.code == 3
    assert word in done.err
    assert done.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == before


def test_a_bare_name_is_also_looked_for_among_the_shipped(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_picture("temple.jpg", "init") == SHIPPED / "temple.jpg"
    assert shipped_picture("temple.jpg") == SHIPPED / "temple.jpg"
    assert shipped_picture("no_such.jpg") is None
    with pytest.raises(PictureError, match=r"^no_such.jpg: no such file here or in images/"):
        find_picture("no_such.jpg", "init")
    with pytest.raises(PictureError, match=r"^\./temple.jpg: no such file; check --init"):
        find_picture("./temple.jpg", "init")
    Image.new("RGB", (3, 2)).save("temple.jpg")  # what is here comes first
    assert find_picture("temple.jpg", "init").resolve() == tmp_path / "temple.jpg"


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "temple.jpg/inside.png"])
def test_names_that_no_file_can_have(name):
    with pytest.raises(PictureError, match="check --init"):
        find_picture(name, "init")
