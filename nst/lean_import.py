"""Import a large package faster: without packages that it does not need, and without pauses."""

import contextlib
import gc
import sys
from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def lean_import(package: str, without: Sequence[str]) -> Iterator[None]:
    """Let imports of ``without`` fail while ``package`` is imported within the context.

    Afterwards they can be imported as ever. What was imported before stays, and nothing is changed
    if ``package`` was.

    The garbage collector pauses meanwhile: modules are no garbage, and it would look at all of
    them again and again. What was imported is not looked at later either.
    """
    if package in sys.modules:
        yield
        return
    hidden = [name for name in without if name not in sys.modules]
    collecting = gc.isenabled()
    gc.disable()
    for name in hidden:  # None is what the import system takes for a module that is not there
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
        if collecting:
            gc.enable()
    gc.freeze()
