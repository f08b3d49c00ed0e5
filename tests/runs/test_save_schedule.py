"""When frames and checkpoints are due."""

import pytest

from nst.engine.step import Costs, Position, Step
from nst.runs.save_schedule import SaveSchedule


def step_after(iteration, seconds, epochs=500):
    position = Position(iteration, 1, seconds, Costs(0, 0, 0, 0), None)
    return Step(position, epochs, 1, None)


def test_a_checkpoint_is_due_every_half_minute_of_work():
    schedule = SaveSchedule(print_every=1000)
    due = [second for second in range(0, 200, 4) if schedule.checkpoint(step_after(second, second))]
    assert due == [28, 56, 84, 112, 140, 168, 196]


def test_a_resumed_run_counts_from_where_it_was_saved():
    schedule = SaveSchedule(print_every=1000, seconds=100)
    due = [s for s in range(104, 160, 4) if schedule.checkpoint(step_after(s, s))]
    assert due == [128, 156]


def test_a_checkpoint_is_due_with_every_frame_but_not_at_the_end():
    schedule = SaveSchedule(print_every=5)
    steps = [step_after(number, number / 100, epochs=15) for number in range(16)]
    assert [step.iteration for step in steps if schedule.frame(step)] == [5, 10, 15]
    assert [step.iteration for step in steps if schedule.checkpoint(step)] == [5, 10]


@pytest.mark.parametrize("seconds", [31, 3600])
def test_an_iteration_that_takes_longer_is_saved_at_once(seconds):
    schedule = SaveSchedule(print_every=1000)
    assert all(schedule.checkpoint(step_after(n, n * seconds)) for n in range(1, 5))
