"""A transparent picture without the white below it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from helpers import ROOT
from nst.pictures.uncover import uncover

with Image.open(ROOT / "images/temple.jpg") as shipped:
    PHOTO = np.asarray(shipped.resize((90, 60)))


def over(background, rgb, alpha):
    share = alpha[:, :, np.newaxis] / 255
    return rgb * share + background * (1 - share)


@given(st.integers(1, 60), st.integers(1, 90), st.integers(0, 2**32 - 1), st.sampled_from([2, 40]))
def test_over_any_background_it_looks_as_it_is_meant(height, width, seed, smooth):
    random = np.random.default_rng(seed)
    few = random.uniform(-100, 355, (1 + height // smooth, 1 + width // smooth))
    alpha = np.asarray(Image.fromarray(few.astype("f4")).resize((width, height)))
    alpha = np.clip(alpha, 0, 255).astype(np.uint8)
    rgb = PHOTO[:height, :width]
    on_white = np.rint(over(255, rgb, alpha)).astype(np.uint8)
    found = uncover(on_white, alpha)
    assert found.shape == rgb.shape
    assert found.dtype == np.uint8
    told = alpha >= 16  # others are nearly hidden
    for background in (0, 128, 255):
        off = np.abs(over(background, found, alpha) - over(background, rgb, alpha))
        assert off[told].max(initial=0) <= 1.01
        assert off.max(initial=0) <= 8
    assert (found[alpha == 255] == rgb[alpha == 255]).all()


@pytest.mark.parametrize("colour", [(0, 0, 0), (200, 30, 90), (255, 255, 255)])
def test_a_flat_picture_has_its_colour_everywhere(colour):
    """However it is hidden: by a soft edge, in a corner, but for a single pixel."""
    y, x = np.mgrid[:50, :70]
    discs = [np.clip(20 - np.hypot(y - 25, x - 35), 0, 1), np.clip(30 - x - y, 0, 9) / 9]
    discs.append((y == 49) & (x == 3))
    for disc in discs:
        alpha = np.rint(disc * 255).astype(np.uint8)
        on_white = np.rint(over(255, np.array(colour, float), alpha)).astype(np.uint8)
        assert np.abs(uncover(on_white, alpha).astype(int) - colour).max() <= 10


def test_what_is_hidden_has_the_colours_near_it():
    rgb = np.zeros((40, 80, 3), np.uint8)
    rgb[:, :40], rgb[:, 40:] = (200, 0, 0), (0, 0, 200)
    alpha = np.zeros((40, 80), np.uint8)
    alpha[10:30, 15:65] = 255
    found = uncover(np.where(alpha[:, :, np.newaxis], rgb, np.uint8(255)), alpha)
    assert (found[10:30, 10:15, 0] > 170).all()
    assert (found[10:30, 65:70, 2] > 170).all()
    assert (found[:, :15, 0] > found[:, :15, 2]).all()
    assert (found[:, 65:, 0] < found[:, 65:, 2]).all()
    assert (found[..., 1] < 5).all()


def test_what_is_hidden_all_over_stays_white():
    white = np.full((9, 7, 3), 255, np.uint8)
    assert (uncover(white, np.zeros((9, 7), np.uint8)) == 255).all()
