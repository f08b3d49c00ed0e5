"""Standard output and standard error that can be written, whatever they are."""

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def usable_streams() -> Iterator[None]:
    """Make stdout and stderr writable within the context: closed, or unable to show a name.

    Streams of other programs, such as notebooks and ``io.StringIO``, show every name.
    """
    with contextlib.ExitStack() as stack:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is None:
                sink = stack.enter_context(open(os.devnull, "w"))
                setattr(sys, name, sink)
                stack.callback(setattr, sys, name, None)
            elif hasattr(stream, "reconfigure"):
                before = stream.errors
                stream.reconfigure(errors="backslashreplace")
                stack.callback(_restore, stream, before)
        yield


def _restore(stream: object, errors: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # it cannot be flushed, or was closed
        stream.reconfigure(errors=errors)  # type: ignore[attr-defined]
