"""Steps on their way from a worker to the driver, with no more than what is to be saved."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from nst.engine.step import Position, Step
from nst.runs.save_schedule import SaveSchedule
from nst.settings import Settings


@dataclass(frozen=True)
class Message:
    """A step, without its image and its state where they are not due.

    pairs: how many curvature pairs the state has, of which it brings only those that the driver has
    not got yet.
    """

    step: Step
    pairs: int = 0


def send(
    steps: Iterator[Step], settings: Settings, seconds: float, stopped: Callable[[], bool]
) -> Iterator[Message]:
    """Yield messages of ``steps`` until they end or ``stopped()``.

    seconds: of work when the run was saved last.
    """
    schedule = SaveSchedule(settings.print_every, seconds)
    sent_scale, sent_pair = 0, 0  # scale and number of the last pair that was sent
    for step in steps:
        stop = stopped()
        last = stop or step.is_last
        framed, saved = schedule.frame(step), schedule.checkpoint(step)
        message = Message(step.without_state())
        if saved or last:
            assert step.position.state is not None
            state: Any = step.position.state.saved()
            pairs = getattr(state, "pairs", ())
            if pairs:
                sent = sent_pair if sent_scale == step.scale else 0
                new = state.remembered - sent
                sent_scale, sent_pair = step.scale, state.remembered
                state = state._replace(pairs=pairs[max(0, len(pairs) - new) :])
            position = replace(step.position, state=state)
            message = Message(replace(step, position=position), len(pairs))
        image = step.image if framed or last else None
        yield replace(message, step=replace(message.step, source=image))
        if stop:
            return


def receive(message: Message, before: Position | None) -> Step:
    """Return the step of a message, whole. before: the last position that came with its state."""
    position = message.step.position
    state: Any = position.state
    if state is None or not message.pairs:
        return message.step
    earlier: Any = before.state if before and before.scale == position.scale else None
    pairs = (*(earlier.pairs if earlier else ()), *state.pairs)[-message.pairs :]
    position = replace(position, state=state._replace(pairs=pairs))
    return replace(message.step, position=position)
