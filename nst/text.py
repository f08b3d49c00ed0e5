"""Texts for users: durations, sizes, titles, plurals and terminal colours."""

import math
import os
import re
from collections.abc import Sequence
from typing import TextIO

RED, PLAIN = "\033[31m", "\033[0m"


def duration_text(seconds: float) -> str:
    """``45 s``, ``12 min`` or ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def memory_text(size: float) -> str:
    """A size in bytes as decimal gigabytes, ``1.5G``."""
    return f"{size / 1e9:.1f}G"


def memory_option(size: float) -> str:
    """A size in bytes as a value of ``--max_memory``: decimal megabytes, rounded up."""
    return f"{math.ceil(1.01 * size / 1e7) * 10}M"


def picture_title(content: str | None, styles: Sequence[str]) -> str:
    """``photo.jpg in the style of wave.jpg``, from file names; no content makes a texture."""
    subject = content or "texture"
    return f"{subject} in the style of {' + '.join(styles)}" if styles else subject


def count_text(number: int, noun: str) -> str:
    """``1 picture``, ``2 pictures``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def printable(text: str) -> str:
    """Escape line ends and control characters, which file names may contain."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def cause(error: Exception) -> str:
    """The one line of an error's message that tells what is wrong.

    A message may hold the traceback of another error, with advice below: then it is the line of
    that error.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    inner = [line for line in lines if re.match(r"[A-Z]\w*(Error|Exception): .", line)]
    line = inner[-1].partition(": ")[2] if inner else next(iter(lines), type(error).__name__)
    return printable(line).rstrip(".")


def red(text: str, stream: TextIO) -> str:
    """``text`` in red if ``stream`` is a terminal with colours; NO_COLOR (no-color.org) wins."""
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"{RED}{text}{PLAIN}"
