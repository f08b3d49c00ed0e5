"""Small versions of pictures, within limits of pixels and bytes."""

import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nst.pictures.thumbnails import SMALLEST, choose_evenly, encode_jpeg, open_picture, shrink


@given(st.integers(1, 500), st.integers(1, 60))
def test_items_are_chosen_evenly_and_the_last_is_among_them(count, most):
    items = list(range(count))
    chosen = choose_evenly(items, most)
    assert len(chosen) <= most
    assert len(chosen) > min(count, most) / 2
    assert chosen[-1] == items[-1]
    assert len({late - early for early, late in pairwise(chosen)}) <= 1
    if count <= most:
        assert list(chosen) == items


@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 500))
def test_a_picture_is_shrunk_and_never_enlarged(width, height, side):
    image = Image.new("RGB", (width, height))
    small = shrink(image, side)
    assert max(small.size) == min(side, max(image.size))
    if max(image.size) <= side:
        assert small is image


@pytest.mark.parametrize("most", [None, 20_000, 3_000, 10])
def test_a_jpeg_is_made_smaller_until_it_fits(most):
    noise = np.random.default_rng(0).integers(0, 255, (300, 200, 3), dtype=np.uint8)
    data = encode_jpeg(Image.fromarray(noise), 250, most)
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "JPEG"
        assert max(image.size) <= 250
        if most is None:
            assert max(image.size) == 250
        else:
            assert len(data) <= most or max(image.size) == SMALLEST


def test_a_transparent_picture_is_opened_on_white(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGBA", (3, 2), (0, 0, 0, 0)).save(path)
    assert np.asarray(open_picture(path)).tolist() == [[[255] * 3] * 3] * 2


@pytest.mark.parametrize("data", [None, b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_a_damaged_picture_is_none(tmp_path, data):
    path = tmp_path / "a.png"
    if data is not None:
        path.write_bytes(data)
    assert open_picture(path) is None
