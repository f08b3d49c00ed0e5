"""Coarse to fine: sizes, shares of the iterations, and what the user sees of it."""

import csv
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import QUICK, pixels
from nst import pyramid
from nst.pictures import Pictures, resize
from nst.settings import Settings
from nst_utils import build_objective, transfer_style


@given(
    scales=st.one_of(st.just("auto"), st.integers(1, 12)),
    epochs=st.integers(1, 2000),
    size=st.tuples(st.integers(1, 20_000), st.integers(1, 20_000)),
)
def test_every_scale_has_iterations_and_the_last_is_the_whole(scales, epochs, size):
    settings = Settings(scales=scales, epochs=epochs)
    factors = pyramid.factors(settings, size)
    assert factors[-1] == 1
    assert factors == sorted(factors)
    assert len(set(factors)) == len(factors)
    assert max(size) * factors[0] >= 1
    shares = pyramid.iterations(settings, len(factors))
    assert [number for share in shares for number in share] == list(range(epochs + 1))
    counts = [len(share) for share in shares]
    assert min(counts) >= 1
    # Finer scales, which cost more, get no more, but for rounding.
    assert all(finer <= coarser + 1 for coarser, finer in pairwise(counts))


@pytest.mark.parametrize(
    ("long_side", "sizes"),
    [(100, [100]), (400, [400]), (560, [560]), (1200, [400, 693, 1200]), (1600, [400, 800, 1600])],
)
def test_auto_starts_at_about_400_pixels(long_side, sizes):
    factors = pyramid.factors(Settings(scales="auto"), (long_side // 2, long_side))
    assert [round(long_side * factor) for factor in factors] == sizes


@given(
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.sampled_from(["picture", "float picture", "mask"]),
)
def test_resizing_stays_within_the_range(size, to, kind):
    random = np.random.default_rng(0)
    array = random.uniform(0, 255, (*size, 3)).astype(np.uint8 if kind == "picture" else np.float32)
    if kind == "mask":
        array = array[:, :, 0] / 255
    resized = resize(array, to)
    assert resized.shape == (*to, *array.shape[2:])
    assert resized.dtype == array.dtype
    assert resized.min() >= 0
    assert resized.max() <= (1 if kind == "mask" else 255)
    assert (resize(np.full_like(array, 1), to) == 1).all()


def test_pictures_are_scaled_together(temple, harbour):
    mask = np.ones(harbour.shape[:2], np.float32)
    whole = Pictures(temple.shape[:2], temple, (harbour,), (temple[:, :, 0] / 255,), (mask,))
    half = whole.scaled(0.5)
    assert half.size == half.content.shape[:2] == half.content_masks[0].shape == (32, 48)
    assert half.styles[0].shape[:2] == half.style_masks[0].shape == (36, 48)
    assert whole.scaled(1) is whole


def test_a_style_that_is_too_small_is_shrunk_later(temple, harbour):
    asked = 4 * max(harbour.shape)  # of a larger file
    whole = Pictures(temple.shape[:2], temple, (harbour,), style_sizes=(asked,))
    assert whole.scaled(0.5).styles[0].shape == harbour.shape
    assert whole.scaled(0.25).styles[0].shape == harbour.shape
    assert max(whole.scaled(0.125).styles[0].shape) == max(harbour.shape) // 2
    twice = whole.scaled(0.5).scaled(0.25)
    assert twice.styles[0].shape == whole.scaled(0.125).styles[0].shape


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_each_scale_has_its_own_targets(vgg16, temple, harbour, optimizer):
    settings = Settings(epochs=12, scales=2, optimizer=optimizer, precision="float32")
    steps = list(transfer_style(temple, harbour, vgg16, settings))
    assert [step.iteration for step in steps] == list(range(13))
    first, last = ([s for s in steps if s.scale == scale] for scale in (1, 2))
    assert first[-1].image.shape == (32, 48, 3)
    assert last[0].image.shape == temple.shape
    assert first[-1].costs.total < first[0].costs.total
    assert last[-1].costs.total < last[0].costs.total
    np.testing.assert_allclose(last[0].image, resize(first[-1].image, temple.shape[:2]))
    objective = build_objective(temple, harbour, vgg16, settings)
    assert last[-1].costs.total == pytest.approx(objective(last[-1].image)[0].total, rel=1e-4)
    whole = Pictures(temple.shape[:2], temple, (harbour,)).scaled(0.5)
    objective = build_objective(whole.content, whole.styles, vgg16, settings)
    assert first[-1].costs.total == pytest.approx(objective(first[-1].image)[0].total, rel=1e-4)


def test_a_run_shows_its_scales_and_saves_frames_of_one_size(nst, pair):
    outcome = nst(*pair, *QUICK, "--scales", 2, "--epochs", 6)
    assert outcome.code == 0
    assert "Scales    24 x 16, 48 x 32, up to iterations" in outcome.err
    assert "iteration  scale" in outcome.out
    (folder,) = Path("output").glob("*/")
    for frame in (*folder.glob("frame_*.png"), folder / "generated_image.png"):
        assert pixels(frame).shape == (32, 48, 3)
    rows = csv.DictReader((folder / "costs.csv").read_text().splitlines())
    assert [row["scale"] for row in rows] == ["1"] * 4 + ["2"] * 3


def test_the_time_left_knows_that_fine_scales_take_longer():
    from nst.pace import Pace
    from nst.step import Costs, Step

    chosen = Settings(scales=3, epochs=100)
    size = (300, 400)
    factors = pyramid.factors(chosen, size)
    shares = pyramid.iterations(chosen, 3)
    pace, seconds, told = Pace(chosen, size), 5.0, []  # the first one measures the styles, too
    for scale, (factor, iterations) in enumerate(zip(factors, shares), 1):
        for iteration in iterations:
            seconds += factor**2
            step = Step(iteration, 100, scale, 3, None, Costs(1, 1, 1, 1), seconds, None)
            told.append((seconds, pace.left(step)))
    assert told[0][1] is None
    for now, left in told[1:]:
        assert left == pytest.approx(seconds - now, abs=1e-6)
