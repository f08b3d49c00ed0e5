"""Steps on their way from a worker to the driver."""

from dataclasses import replace

import numpy as np
import pytest

from nst.cluster.messages import Plan, receive, send
from nst.engine.evaluation import Evaluation
from nst.engine.tiling import WHOLE
from nst.settings import Settings


@pytest.fixture(scope="module")
def steps(transfer):
    """The steps of a transfer by L-BFGS at two scales."""
    chosen = Settings(optimizer="lbfgs", scales=2, epochs=12, init="noise")
    return [
        replace(step, position=replace(step.position, state=step.position.state.saved()))
        for step in transfer(chosen)
    ]


@pytest.mark.parametrize("every", [1, 3, 5])
def test_messages_carry_every_position_that_is_saved(steps, every):
    last, received, sizes = None, [], []
    for message in send(iter(steps), Settings(print_every=every), 0.0, lambda: False, None):
        sizes.append(len(message.step.position.state.pairs) if message.pairs else 0)
        step = receive(message, last)
        if step.position.state:
            last = step.position
        received.append(step)
    assert [step.iteration for step in received] == list(range(13))
    saved = [step for step in received if step.position.state]
    assert [step.iteration for step in saved] == [*range(every, 12, every), 12]
    assert [step.iteration for step in received if step.image is not None] == [
        step.iteration for step in saved
    ]
    for step in saved:
        ours, theirs = steps[step.iteration].position.state, step.position.state
        assert len(ours.pairs) == len(theirs.pairs)
        for one, other in zip(ours.pairs, theirs.pairs):
            assert np.array_equal(one[0], other[0])
            assert np.array_equal(one[1], other[1])
    assert [step.costs for step in received] == [step.costs for step in steps]
    # Each pair travels once.
    made = {s.position.scale: s.position.state.remembered for s in steps}
    assert sum(sizes) <= sum(made.values())


def test_a_worker_that_is_stopped_sends_its_last_position(steps):
    answers = iter([False, False, False, True])
    messages = list(send(iter(steps), Settings(print_every=100), 0.0, lambda: next(answers), None))
    assert [message.step.iteration for message in messages] == [0, 1, 2, 3]
    *before, last = messages
    assert all(message.step.position.state is None for message in before)
    step = receive(last, None)
    assert step.image is not None
    assert len(step.position.state.pairs) == len(steps[3].position.state.pairs)


def test_a_plan_among_the_steps_is_sent_in_its_place(steps):
    plan = Plan({"size": 1}, Evaluation("float32", (WHOLE,)), "memory ran out")
    items = iter([*steps[:2], "smaller tiles", *steps[2:4]])
    answers = iter([False, False, False, True])
    sent = list(
        send(items, Settings(), 0.0, lambda: next(answers), {"smaller tiles": plan}.__getitem__)
    )
    assert sent[2] is plan
    assert [message.step.iteration for message in sent if message is not plan] == [0, 1, 2, 3]
