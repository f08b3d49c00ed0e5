"""What a worker sends to the driver: its plans, and steps with no more than what is to be saved."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from nst.engine.evaluation import Evaluation
from nst.engine.step import Position, Step
from nst.runs.save_schedule import SaveSchedule
from nst.settings import Settings

P = TypeVar("P")


@dataclass(frozen=True)
class Plan:
    """How a worker makes a picture: before its first step, and again when memory ran out.

    facts, evaluation: for the run folder. news: a line for the user, empty at first.
    """

    facts: dict[str, Any]
    evaluation: Evaluation
    news: str = ""


@dataclass(frozen=True)
class Message:
    """A step, without its image and its state where they are not due.

    pairs: how many curvature pairs the state has, of which it brings only those that the driver has
    not got yet.
    """

    step: Step
    pairs: int = 0


def send(
    steps: Iterator[Step | P],
    settings: Settings,
    seconds: float,
    stopped: Callable[[], bool],
    plan: Callable[[P], Plan],
) -> Iterator[Message | Plan]:
    """Yield messages of ``steps`` until they end or ``stopped()``.

    seconds: of work when the run was saved last. plan: makes a Plan of what is no Step among them.
    """
    schedule = SaveSchedule(settings.print_every, seconds)
    sent_scale, sent_pair = 0, 0  # scale and number of the last pair that was sent
    for step in steps:
        if not isinstance(step, Step):
            yield plan(step)
            continue
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
