"""Whether the program has its process for itself, and its end then."""

import contextlib
import os
import sys
from types import FrameType


def owns_process(frame: FrameType) -> bool:
    """Whether Python was started to run the module of ``frame``, and nothing else.

    frame: of the module. True for ``python nst_main.py`` and ``python -m nst_main``; False if other
    code runs it, such as %run of IPython, a debugger or runpy: the process is theirs.
    """
    callers = []
    while (caller := frame.f_back) is not None:
        callers.append(caller.f_code.co_name)
        frame = caller
    return callers in ([], ["_run_code", "_run_module_as_main"])


def leave(code: int) -> None:
    """End the process without waiting for an iteration that was given up."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # None, broken, closed
            stream.flush()
    os._exit(code)
