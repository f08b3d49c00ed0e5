"""TensorFlow as ``tf``, imported when it is first used.

For modules that are needed before it: a wrong option or picture is answered without the seconds
that the import takes. They use ``from __future__ import annotations``.
"""

import importlib
from typing import Any


class _TensorFlow:
    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module("tensorflow"), name)


tf = _TensorFlow()
