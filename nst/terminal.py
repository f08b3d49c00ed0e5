"""What a terminal can show."""

import os
from typing import TextIO

RED, PLAIN = "\033[31m", "\033[0m"


def red(text: str, stream: TextIO) -> str:
    """``text`` in red if ``stream`` is a terminal and NO_COLOR (no-color.org) is not set."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain or not stream.isatty() else f"{RED}{text}{PLAIN}"
