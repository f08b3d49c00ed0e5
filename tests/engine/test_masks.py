"""Masks as guides of the layers: means over the cells of every grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst.engine.masks import mask_pyramid


def test_guides_are_means_over_cells():
    random = np.random.default_rng(0)
    mask = random.random((13, 21)).astype(np.float32)
    guides = mask_pyramid([mask, 1 - mask])
    assert sorted(guides) == [1, 2, 4, 8, 16, 32]
    for cells, guide in guides.items():
        assert guide.shape == (-(-13 // cells), -(-21 // cells), 2)
        np.testing.assert_allclose(guide.sum(axis=2), 1, rtol=1e-5)
    np.testing.assert_allclose(guides[4][1, 2, 0], mask[4:8, 8:12].mean(), rtol=1e-5)
    np.testing.assert_allclose(guides[4][3, 0, 0], mask[12:, :4].mean(), rtol=1e-5)
    assert mask_pyramid([]) == {}


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 3), st.integers(0, 2**32))
def test_guides_of_any_size_are_masks(height, width, regions, seed):
    random = np.random.default_rng(seed)
    masks = random.random((regions, height, width)).astype(np.float32)
    guides = mask_pyramid(list(masks))
    assert (guides[1] == np.moveaxis(masks, 0, 2)).all()
    for cells, guide in guides.items():
        assert guide.dtype == np.float32
        assert guide.shape == (-(-height // cells), -(-width // cells), regions)
        assert guide.min() >= 0
        assert guide.max() <= 1
        if height % cells == width % cells == 0:  # no cell is cut
            np.testing.assert_allclose(guide.mean(axis=(0, 1)), masks.mean(axis=(1, 2)), rtol=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.25, 1.0])
def test_an_even_mask_is_even_at_every_grid(value):
    for guide in mask_pyramid([np.full((11, 7), value, np.float32)]).values():
        assert (guide == value).all()
