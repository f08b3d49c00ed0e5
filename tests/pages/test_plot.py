"""``costs.png``: the cost curves of a run."""

import io

import numpy as np
from PIL import Image

from helpers import pixels
from nst.engine.step import Costs, Position, Step
from nst.pages.plot import encode_png
from nst.runs.cost_log import CostLog


def log(costs, scales=1):
    """A log of one style layer with these values of J_style, in scales of equal length."""
    made = CostLog(["conv1_1"])
    for number, value in enumerate(costs):
        scale = 1 + number * scales // len(costs)
        values = Costs(2 * value, 1.0, value, 0.0, (value,))
        position = Position(number, scale, float(number), values, None)
        made.add(Step(position, len(costs) - 1, scales, None))
    return made.curves()


def plot(curves):
    with Image.open(io.BytesIO(encode_png(curves))) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def coloured(image):
    """Number of pixels that are neither black, white nor grey."""
    return int((np.ptp(image, axis=2) > 60).sum())


def test_the_plot_of_a_run_has_curves_in_several_colours(run):
    image = pixels(run / "costs.png")[:, :, :3]
    assert image.shape == (600, 960, 3)
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 50


def test_scales_are_not_joined_by_a_line():
    values = [1e6] * 10 + [1.0] * 10
    joined, parted = plot(log(values)), plot(log(values, scales=2))
    # The line from the tenth value to the eleventh, over six decades, is as long as the curves.
    assert coloured(parted) < 0.9 * coloured(joined)


def test_costs_of_zero_and_single_points_are_drawn_too():
    assert plot(log([0.0, 5.0, 0.0, 5.0])).shape == (600, 960, 3)
    assert coloured(plot(log([5.0]))) > 20


def test_a_run_without_a_cost_has_an_empty_plot():
    assert coloured(plot(CostLog([]).curves())) == 0
