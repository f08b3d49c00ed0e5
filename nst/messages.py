"""Steps on their way from a worker to the driver, with no more than what is to be saved."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from nst.optimizers import LBFGSState
from nst.schedule import Schedule
from nst.settings import Settings
from nst.step import Position, Step


@dataclass(frozen=True)
class Message:
    """A step; image and position are None where they are not due.

    pairs: how many curvature pairs the position has, of which only those are here that the driver
    has not got yet.
    """

    step: Step
    pairs: int = 0


def send(
    steps: Iterator[Step], settings: Settings, seconds: float, stopped: Callable[[], bool]
) -> Iterator[Message]:
    """Yield messages of ``steps`` until they end or ``stopped()``.

    seconds: of work when the run was saved last.
    """
    schedule = Schedule(settings.print_every, seconds)
    scale, known = 0, 0  # of the last pair that was sent
    for step in steps:
        stop = stopped()
        last = stop or step.iteration == step.epochs
        framed, saved = schedule.frame(step), schedule.checkpoint(step)
        message = Message(replace(step, position=None))
        if saved or last:
            position, state = step.position, step.position.optimizer
            count = 0
            if isinstance(state, LBFGSState):
                count = len(state.pairs)
                new = state.remembered - (known if scale == step.scale else 0)
                fresh = state.pairs[max(0, count - new) :]
                scale, known = step.scale, state.remembered
                position = replace(position, optimizer=state._replace(pairs=fresh))
            message = Message(replace(step, position=position), count)
        if not (framed or last):
            message = replace(message, step=replace(message.step, image=None))
        yield message
        if stop:
            return


def receive(message: Message, before: Position | None) -> Step:
    """Return the step of a message, whole. before: the last position that was received."""
    position = message.step.position
    if position is None or not message.pairs:
        return message.step
    state, earlier = position.optimizer, ()
    if before and before.scale == position.scale:
        earlier = before.optimizer.pairs
    pairs = (*earlier, *state.pairs)[-message.pairs :]
    position = replace(position, optimizer=state._replace(pairs=pairs))
    return replace(message.step, position=position)
