"""The pictures and masks of a transfer: they fit each other, and are scaled together."""

import numpy as np
import pytest

from nst.api import build_objective
from nst.engine.inputs import LEAST_MEAN, TransferInputs
from nst.errors import UsageError
from nst.settings import Settings


def test_pictures_are_scaled_together(temple, harbour):
    mask = np.ones(harbour.shape[:2], np.float32)
    whole = TransferInputs(temple.shape[:2], temple, (harbour,), (temple[:, :, 0] / 255,), (mask,))
    half = whole.scaled(0.5)
    assert half.size == half.content.shape[:2] == half.content_masks[0].shape == (32, 48)
    assert half.styles[0].shape[:2] == half.style_masks[0].shape == (36, 48)
    assert whole.scaled(1) is whole


def test_a_style_that_is_too_small_is_shrunk_later(temple, harbour):
    requested = 4 * max(harbour.shape)  # of a larger file
    whole = TransferInputs(temple.shape[:2], temple, (harbour,), style_sizes=(requested,))
    assert whole.scaled(0.5).styles[0].shape == harbour.shape
    assert whole.scaled(0.25).styles[0].shape == harbour.shape
    assert max(whole.scaled(0.125).styles[0].shape) == max(harbour.shape) // 2
    twice = whole.scaled(0.5).scaled(0.25)
    assert twice.styles[0].shape == whole.scaled(0.125).styles[0].shape


def test_styles_count_the_same_unless_told_otherwise(temple, harbour):
    inputs = TransferInputs(temple.shape[:2], temple, (harbour, harbour, temple))
    assert inputs.style_shares == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert TransferInputs(temple.shape[:2], temple, ()).style_shares == ()
    shares = (0.25, 0.75)
    inputs = TransferInputs(temple.shape[:2], temple, (harbour, harbour), style_shares=shares)
    assert inputs.scaled(0.5).style_shares == shares


def test_a_texture_has_no_content(harbour):
    inputs = TransferInputs((40, 60), None, (harbour,)).scaled(0.5)
    assert inputs.size == (20, 30)
    assert inputs.content is None


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("content_masks", "content_mask: 3 masks for 2 styles; give one"),
        ("style_masks", "style_mask: 3 masks for 2 styles; give one"),
        ("style_sizes", "style_sizes: 3 for 2 styles"),
    ],
)
def test_there_are_as_many_of_each_as_styles(temple, field, message):
    given = 90.0 if field == "style_sizes" else np.ones(temple.shape[:2], np.float32)
    TransferInputs(temple.shape[:2], temple, (temple, temple), **{field: (given, given)})
    with pytest.raises(UsageError, match=message):
        TransferInputs(temple.shape[:2], temple, (temple, temple), **{field: (given,) * 3})


def test_masks_and_weights_of_calls_from_python_are_checked(vgg19, temple, harbour):
    mask = np.ones(temple.shape[:2], np.float32)
    for wrong in (
        {"content_masks": [mask, mask]},
        {"style_masks": [mask] * 3},
        {"settings": Settings(style_weights=[1, 2])},
    ):
        with pytest.raises(UsageError, match="give one"):
            build_objective(temple, harbour, vgg19, **wrong)
    with pytest.raises(UsageError, match="from 0 to 1"):
        build_objective(temple, harbour, vgg19, content_masks=[0 * mask])


@pytest.mark.parametrize("which", ["content_masks", "style_masks"])
def test_masks_have_the_size_of_their_pictures(temple, harbour, which):
    mask = np.ones((5, 6), np.float32)
    with pytest.raises(UsageError, match="6 x 5 pixels, for a picture of"):
        TransferInputs(temple.shape[:2], temple, (harbour,), **{which: (mask,)})


@pytest.mark.parametrize("which", ["content_masks", "style_masks"])
@pytest.mark.parametrize(
    "value",
    [0.0, LEAST_MEAN / 2, 2.0, -0.5, np.nan],
)
def test_masks_are_from_0_to_1_and_not_black(temple, which, value):
    mask = np.full(temple.shape[:2], value, np.float32)
    with pytest.raises(UsageError, match="from 0 to 1"):
        TransferInputs(temple.shape[:2], temple, (temple,), **{which: (mask,)})
    mask[:] = 2 * LEAST_MEAN
    TransferInputs(temple.shape[:2], temple, (temple,), **{which: (mask,)})
