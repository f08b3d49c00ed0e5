"""Silence libraries that print to the terminal past Python, and Python's warnings.

File descriptor 2 and the filters of warnings belong to the process: threads may enter and leave
these contexts in any order, and after the last one both are as before.
"""

import contextlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator

# Reads to the end of a pipe, which comes when its writers are gone, then prints what it read.
READER = 'words=$(cat 2>/dev/null); printf "%s\\n" "$0" "$words"'


@contextlib.contextmanager
def silent_stderr() -> Iterator[None]:
    """Discard everything this process writes to file descriptor 2 within the context."""
    with open(os.devnull, "wb") as sink, _redirected_stderr(sink.fileno()):
        yield


@contextlib.contextmanager
def last_words(heading: str) -> Iterator[None]:
    """Hold back everything this process writes to file descriptor 2 within the context.

    It is discarded when the context is left. If the process ends before that, as in a crash of a
    library, it is printed there under ``heading``.
    """
    with contextlib.ExitStack() as stack:
        try:
            os.fstat(2)
            source, sink = os.pipe()
            stack.callback(os.close, sink)
            with open(source, "rb"):
                # Another process, as no code of this one runs after a crash.
                reader = os.posix_spawn(
                    "/bin/sh",
                    ["sh", "-c", READER, heading],
                    os.environ,
                    file_actions=[(os.POSIX_SPAWN_DUP2, source, 0), (os.POSIX_SPAWN_DUP2, 2, 1)],
                )
        except (OSError, AttributeError):  # standard error is closed, no shell, or Windows
            stack.enter_context(silent_stderr())
        else:
            stack.callback(_end, reader)
            stack.enter_context(_redirected_stderr(sink))
        yield


def _end(child: int) -> None:
    """Kill a child process."""
    os.kill(child, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):  # where SIGCHLD is ignored
        os.waitpid(child, 0)


class _StderrTargets:
    """Where file descriptor 2 leads, for all threads: to the target that was added last.

    When the last one is removed it leads where it did before, in whatever order they are.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._targets: list[int] = []  # descriptors
        self._before = -1  # a copy of descriptor 2 as it was, while there are targets

    def add(self, target: int) -> bool:
        """Let descriptor 2 lead to another one; False, and nothing is done, if it is closed."""
        with self._lock:
            if not self._targets:
                try:
                    self._before = os.dup(2)
                except OSError:
                    return False
            os.dup2(target, 2)
            self._targets.append(target)
            return True

    def remove(self, target: int) -> None:
        """Undo ``add``."""
        with self._lock:
            self._targets.remove(target)
            os.dup2(self._targets[-1] if self._targets else self._before, 2)
            if not self._targets:
                os.close(self._before)


_stderr_targets = _StderrTargets()


@contextlib.contextmanager
def _redirected_stderr(descriptor: int) -> Iterator[None]:
    """Write what goes to file descriptor 2 to another one, within the context."""
    if sys.stderr is not None:
        sys.stderr.flush()
    added = _stderr_targets.add(descriptor)
    try:
        yield
    finally:
        if added:
            _stderr_targets.remove(descriptor)


class _Warnings:
    """Filters of Python's warnings, which threads share: ignored while any of them asks for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._caught = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if not self._count:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.simplefilter("ignore")
            self._count += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._count -= 1
            if not self._count:
                self._caught.__exit__(None, None, None)


silent_warnings = _Warnings()  # a context
