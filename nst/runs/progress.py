"""Listeners of the progress of a command: console, JSON log, live page, gallery."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from nst.engine.step import Step
from nst.errors import ExitCode
from nst.runs.batch import Batch, BatchForecast, Outcome, Task
from nst.runs.folder import RunFolder


class Progress(Protocol):
    """A listener. It overrides the callbacks that it has a use for; the others do nothing.

    All of them are called in the main thread.
    """

    def say(self, line: str) -> None:
        """A remark for the user."""
        return

    def live(self, url: str, note: str = "") -> None:
        """The live page is served at ``url``. note: how it is seen from elsewhere."""
        return

    def plan(self, batch: Batch) -> None:
        """The pictures are found; none was made yet."""
        return

    def forecast(self, batch: Batch, forecast: BatchForecast) -> None:
        """The end of a dry run."""
        return

    def start(self, task: Task, folder: RunFolder) -> None:
        """A picture is begun, or resumed."""
        return

    def step(self, task: Task, step: Step) -> None:
        """An iteration is done."""
        return

    def end(self, outcome: Outcome) -> None:
        """A picture is finished, was so already, or failed."""
        return

    def summary(self, batch: Batch, outcomes: Sequence[Outcome], gallery: Path | None) -> None:
        """The command is done."""
        return

    def fail(self, message: str, code: ExitCode) -> None:
        """The command ends early, with an error."""
        return


class Listeners(Progress):
    """Tells each of a list of listeners, in order."""

    def __init__(self, *listeners: Progress) -> None:
        self._listeners = list(listeners)

    def add(self, listener: Progress) -> None:
        """Tell one more from now on."""
        self._listeners.append(listener)

    def _each(self, call: Callable[[Progress], None]) -> None:
        for listener in self._listeners:
            call(listener)

    def say(self, line: str) -> None:
        self._each(lambda listener: listener.say(line))

    def live(self, url: str, note: str = "") -> None:
        self._each(lambda listener: listener.live(url, note))

    def plan(self, batch: Batch) -> None:
        self._each(lambda listener: listener.plan(batch))

    def forecast(self, batch: Batch, forecast: BatchForecast) -> None:
        self._each(lambda listener: listener.forecast(batch, forecast))

    def start(self, task: Task, folder: RunFolder) -> None:
        self._each(lambda listener: listener.start(task, folder))

    def step(self, task: Task, step: Step) -> None:
        self._each(lambda listener: listener.step(task, step))

    def end(self, outcome: Outcome) -> None:
        self._each(lambda listener: listener.end(outcome))

    def summary(self, batch: Batch, outcomes: Sequence[Outcome], gallery: Path | None) -> None:
        self._each(lambda listener: listener.summary(batch, outcomes, gallery))

    def fail(self, message: str, code: ExitCode) -> None:
        self._each(lambda listener: listener.fail(message, code))
