"""The table of style losses: nothing else tells them apart by their words."""

from dataclasses import replace

import numpy as np
import pytest

from helpers import pixels
from nst.engine.forecast import choose_tilings
from nst.engine.neighbour_cost import NeighbourCost
from nst.engine.scales import is_extendable, scale_factors, scale_iterations
from nst.settings import Settings
from nst.style_losses import STYLE_LOSSES
from nst_utils import TotalCost, build_optimizer, style_cost_class, transfer_style


class OtherCost(NeighbourCost):
    """A further cost that matches positions."""


class TwiceTheGram(style_cost_class("gram")):
    """A further cost that does not."""

    @property
    def scale(self):
        return 2 * super().scale


@pytest.mark.parametrize("word", ["neighbours", "wasserstein"])
@pytest.mark.parametrize("epochs", [3, 40])
def test_a_loss_is_its_record_by_any_word(monkeypatch, word, epochs):
    """Whatever the line of ``gram`` says is what a run with it does."""
    options = {"epochs": epochs, "optimizer": "lbfgs", "max_memory": "9G"}
    wanted = Settings(style_loss=word, **options)
    monkeypatch.setitem(STYLE_LOSSES, "gram", STYLE_LOSSES[word])
    found = Settings(style_loss="gram", **options)
    assert replace(found, style_loss=word) == wanted
    assert found.used_layers == wanted.used_layers
    size, seen = (900, 1200), []
    for settings in (found, wanted):
        cost = TotalCost(settings)
        factors = scale_factors(settings, size)
        seen.append(
            [
                (cost.terms, cost.last_terms),
                (factors, scale_iterations(settings, len(factors)), is_extendable(settings, size)),
                [build_optimizer(settings, size, last_pass) for last_pass in (False, True)],
                choose_tilings(settings, "VGG-19", "float32", size, [((90, 90), 90)]),
            ]
        )
    assert seen[0] == seen[1]


@pytest.mark.slow
def test_a_further_loss_that_matches_is_a_class_and_a_line(monkeypatch, nst, pair, tmp_path):
    options = ("--image_size", 48, "--epochs", 9, "--precision", "float32", "--scales", 1)
    options = (*pair, *options, "--alpha", 5)
    done = nst(*options, "--style_loss", "neighbours", "--output_dir", "one")
    assert done.code == 0, done.err
    line = replace(STYLE_LOSSES["neighbours"], cost=f"{__name__}:OtherCost")
    monkeypatch.setitem(STYLE_LOSSES, "moments", line)
    done = nst(*options, "--style_loss", "moments", "--output_dir", "other")
    assert done.code == 0, done.err
    assert "alpha: no effect, as moments has no content cost" in done.err
    one, other = (
        pixels(tmp_path / folder / "photo__painting/generated_image.png")
        for folder in ("one", "other")
    )
    np.testing.assert_array_equal(one, other)
    refused = nst(*options, "--style_loss", "moments", "--beta", 0)
    assert "style_loss moments: it needs a style; raise --beta" in refused.err


def test_a_further_loss_of_means_is_a_class_and_a_line(monkeypatch, vgg19, temple, harbour):
    settings = Settings(alpha=0, precision="float32")
    first = next(transfer_style(temple, harbour, vgg19, settings))
    line = replace(STYLE_LOSSES["gram"], cost=f"{__name__}:TwiceTheGram")
    monkeypatch.setitem(STYLE_LOSSES, "gram", line)
    twice = next(transfer_style(temple, harbour, vgg19, settings))
    assert twice.costs.style == pytest.approx(2 * first.costs.style)
