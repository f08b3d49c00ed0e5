"""Import a large package faster: without a package that it does not need, and without pauses."""

import contextlib
import gc
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def lean_import(package: str, without: str) -> Iterator[None]:
    """Let imports of ``without`` fail while ``package`` is imported within the context.

    Afterwards it can be imported as ever. Nothing is changed if one of the two was imported before.

    The garbage collector pauses meanwhile: modules are no garbage, and it would look at all of
    them again and again. What was imported is not looked at later either.
    """
    if package in sys.modules or without in sys.modules:
        yield
        return
    collecting = gc.isenabled()
    gc.disable()
    sys.modules[without] = None  # type: ignore[assignment]  # as the import system defines it
    try:
        yield
    finally:
        sys.modules.pop(without, None)
        if collecting:
            gc.enable()
    gc.freeze()
