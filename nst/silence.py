"""Silence libraries written in C, which print to the terminal past Python."""

import contextlib
import os
import signal
import sys
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


@contextlib.contextmanager
def _redirected_stderr(descriptor: int) -> Iterator[None]:
    """Write what goes to file descriptor 2 to another one, within the context."""
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:  # standard error is closed: nothing to redirect
        yield
        return
    try:
        os.dup2(descriptor, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
