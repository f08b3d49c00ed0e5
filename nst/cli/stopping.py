"""SIGINT, SIGTERM and SIGHUP: stop gently while a picture is being made, at once otherwise."""

import os
import signal
import threading
from types import TracebackType
from typing import Any

PATIENCE = 4.0  # seconds for the iteration in hand
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


class Stopping:
    """A context in which signals that ask to stop raise KeyboardInterrupt in the main thread.

    requested: the number of the signal that came, None before. gently: while True, the first signal
    only sets ``requested``, and the exception comes PATIENCE seconds later, unless whoever looks at
    ``requested`` has stopped by then. A second signal ends the process at once, or raises the
    exception at once where the process is not the program's own.

    In another thread than the main one signals are left alone: ``ask`` alone stops.
    """

    def __init__(self, own_process: bool = True) -> None:
        self.requested: int | None = None
        self.gently = False
        self._own_process = own_process
        self._before: dict[int, Any] = {}  # handlers
        self._has_timer = False

    def __enter__(self) -> "Stopping":
        if threading.current_thread() is not threading.main_thread():
            return self
        numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
        for number in numbers:
            # Ignored by nohup, or in a script's background job; None is a handler in C, which
            # could not be put back.
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                self._before[number] = signal.signal(number, self._arrived)
        if hasattr(signal, "SIGALRM") and signal.getsignal(signal.SIGALRM) == signal.SIG_DFL:
            self._has_timer = True
            self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._too_late)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._has_timer:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def ask(self) -> None:
        """Stop as if the first of the signals had come; from any thread."""
        number = next((n for n in self._before if n != getattr(signal, "SIGALRM", None)), None)
        if self.requested is not None:
            return
        if number is None:  # none would arrive
            self.requested = signal.SIGINT
        else:
            os.kill(os.getpid(), number)

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal came; what is saved then may take its time."""
        if self.requested:
            self.gently = False
            raise KeyboardInterrupt

    def _arrived(self, number: int, frame: object) -> None:
        again = self.requested is not None
        if again and self._own_process:
            os._exit(128 + number)
        self.requested = number
        if self.gently and self._has_timer and not again:
            signal.setitimer(signal.ITIMER_REAL, PATIENCE)
        else:
            self.gently = False
            raise KeyboardInterrupt

    def _too_late(self, number: int, frame: object) -> None:
        if self.gently:
            self.gently = False
            raise KeyboardInterrupt
