"""Coarse to fine: sizes, shares of the iterations, and what a run makes of them."""

import csv
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import QUICK, pixels
from nst.engine.evaluation import Evaluation
from nst.engine.inputs import TransferInputs
from nst.engine.objective import Objective
from nst.engine.scales import scale_factors, scale_iterations
from nst.engine.tiling import WHOLE
from nst.pictures.resize import resize
from nst.settings import Settings
from nst_utils import build_graphs, transfer_style


@given(
    scales=st.one_of(st.just("auto"), st.integers(1, 12)),
    epochs=st.integers(1, 2000),
    size=st.tuples(st.integers(1, 20_000), st.integers(1, 20_000)),
)
def test_every_scale_has_iterations_and_the_last_is_the_whole(scales, epochs, size):
    settings = Settings(scales=scales, epochs=epochs)
    factors = scale_factors(settings, size)
    assert factors[-1] == 1
    assert factors == sorted(factors)
    assert len(set(factors)) == len(factors)
    assert max(size) * factors[0] >= 1
    shares = scale_iterations(settings, len(factors))
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
    factors = scale_factors(Settings(scales="auto"), (long_side // 2, long_side))
    assert [round(long_side * factor) for factor in factors] == sizes


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_each_scale_has_its_own_targets(vgg19, temple, harbour, optimizer):
    content, style = temple[:48, :64], harbour[:40, :56]
    settings = Settings(epochs=12, scales=2, optimizer=optimizer)
    graphs = build_graphs(vgg19, settings)
    evaluation = Evaluation("float32", (WHOLE, WHOLE))
    options = {"evaluation": evaluation, "graphs": graphs}
    steps = list(transfer_style(content, style, vgg19, settings, **options))
    assert [step.iteration for step in steps] == list(range(13))
    first, last = ([s for s in steps if s.scale == scale] for scale in (1, 2))
    assert first[-1].image.shape == (24, 32, 3)
    assert last[0].image.shape == content.shape
    assert first[-1].costs.total < first[0].costs.total
    assert last[-1].costs.total < last[0].costs.total
    np.testing.assert_allclose(last[0].image, resize(first[-1].image, content.shape[:2]))
    whole = TransferInputs(content.shape[:2], content, (style,))
    for step, inputs in ((last[-1], whole), (first[-1], whole.scaled(0.5))):
        costs, _ = Objective(graphs, inputs)(step.image)
        assert step.costs.total == pytest.approx(costs.total, rel=1e-4)


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
