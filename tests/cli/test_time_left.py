"""The estimate of the time that a run will still take."""

import pytest

from nst.cli.time_left import TimeLeft
from nst.engine.scales import scale_factors, scale_iterations
from nst.engine.step import Costs, Position, Step
from nst.settings import Settings

SIZE = (300, 400)


def step(iteration, seconds, scale=1, scales=1):
    """A step of 100 epochs."""
    return Step(Position(iteration, scale, seconds, Costs(1, 1, 1, 1), None), 100, scales, None)


def test_fine_scales_take_longer():
    settings = Settings(scales=3, epochs=100)
    iterations = scale_iterations(settings, 3)
    time_left, seconds, estimates = TimeLeft(settings, SIZE), 5.0, []  # 5 s measure the styles
    for scale, factor in enumerate(scale_factors(settings, SIZE), 1):
        for iteration in iterations[scale - 1]:
            seconds += factor**2
            estimates.append((seconds, time_left.after(step(iteration, seconds, scale, 3))))
    assert estimates[0][1] is None
    for now, left in estimates[1:]:
        assert left == pytest.approx(seconds - now, abs=1e-6)


def test_only_the_latest_iterations_count():
    time_left = TimeLeft(Settings(epochs=100), SIZE)
    for iteration in range(41):
        time_left.after(step(iteration, 10.0 * iteration))
    for iteration in range(41, 71):  # the machine has become faster
        left = time_left.after(step(iteration, 400 + 2.0 * (iteration - 40)))
    assert left == pytest.approx(2.0 * 30)


def test_a_step_that_comes_again_is_no_pace():
    """After the loss of a worker a run goes back to where it was saved."""
    time_left = TimeLeft(Settings(epochs=100), SIZE)
    time_left.after(step(5, 5.0))
    assert time_left.after(step(5, 7.0)) is None
