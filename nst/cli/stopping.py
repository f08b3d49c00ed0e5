"""SIGINT, SIGTERM and SIGHUP: stop gently while a picture is being made, at once otherwise."""

import os
import signal
from types import TracebackType
from typing import Any

PATIENCE = 4.0  # seconds for the iteration in hand
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


class Stopping:
    """A context in which signals that ask to stop raise KeyboardInterrupt in the main thread.

    requested: the number of the signal that came, None before. gently: while True, the first signal
    only sets ``requested``, and the exception comes PATIENCE seconds later, unless whoever looks at
    ``requested`` has stopped by then. A second signal ends the process at once.
    """

    def __init__(self) -> None:
        self.requested: int | None = None
        self.gently = False
        self._before: dict[int, Any] = {}  # handlers

    def __enter__(self) -> "Stopping":
        numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
        for number in numbers:
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup, or a script's background job
                self._before[number] = signal.signal(number, self._arrived)
        if hasattr(signal, "SIGALRM"):
            self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._too_late)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if hasattr(signal, "SIGALRM"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def ask(self) -> None:
        """Stop as if the first of the signals had come; from any thread."""
        number = next((n for n in self._before if n != getattr(signal, "SIGALRM", None)), None)
        if number is not None and self.requested is None:
            os.kill(os.getpid(), number)

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal came; what is saved then may take its time."""
        if self.requested:
            self.gently = False
            raise KeyboardInterrupt

    def _arrived(self, number: int, frame: object) -> None:
        if self.requested:
            os._exit(128 + number)
        self.requested = number
        if self.gently and hasattr(signal, "SIGALRM"):
            signal.setitimer(signal.ITIMER_REAL, PATIENCE)
        else:
            raise KeyboardInterrupt

    def _too_late(self, number: int, frame: object) -> None:
        if self.gently:
            self.gently = False
            raise KeyboardInterrupt
