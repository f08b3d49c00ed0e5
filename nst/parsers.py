"""Parsers of settings: from a value, or the text of a command line, to the value that is used.

Each raises ValueError with a sentence that goes on after the name of the setting.
"""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nst import networks


@dataclass(frozen=True)
class Number:
    """A parser for finite numbers of ``kind`` in [low, high], or (low, high] if ``above_low``."""

    kind: type
    low: float
    high: float
    above_low: bool = False

    @property
    def range(self) -> str:
        """The allowed values in words."""
        noun = "a whole number" if self.kind is int else "a number"
        if self.above_low:
            return f"{noun} above {self.low:g} and up to {self.high:,.12g}"
        return f"{noun} from {self.low:g} to {self.high:,.12g}"

    def __call__(self, value: Any) -> float:
        """Return ``value`` (a number or its text) as ``kind``; ValueError outside the range."""
        try:
            number = self.kind(value)
            whole = self.kind is float or number == float(value)
        except (TypeError, ValueError, OverflowError):
            whole = False
        if (
            not whole
            or isinstance(value, bool)
            or not math.isfinite(number)
            or not self.low <= number <= self.high
            or (self.above_low and number == self.low)
        ):
            raise ValueError(f"must be {self.range}, not {str(value)!r}")
        return number


@dataclass(frozen=True)
class Choice:
    """A parser for one of a few words."""

    words: tuple[str, ...]

    @property
    def range(self) -> str:
        """The allowed values in words."""
        return ", ".join(self.words[:-1]) + " or " + self.words[-1]

    def __call__(self, value: Any) -> str:
        """Return ``value`` if it is one of the words, else raise ValueError."""
        if value not in self.words:
            raise ValueError(f"must be {self.range}, not {str(value)!r}")
        return value


@dataclass(frozen=True)
class OrWord:
    """A parser for what ``parse`` takes, or one word."""

    word: str
    parse: Number

    def __call__(self, value: Any) -> Any:
        """Return the word or what the parser makes of ``value``; ValueError if it is neither."""
        try:
            return value if value == self.word else self.parse(value)
        except ValueError:
            raise ValueError(
                f"must be {self.parse.range}, or the word {self.word}, not {str(value)!r}"
            ) from None


PIXELS = Number(int, 1, 100_000)


def image_size(value: Any) -> int | str | tuple[int, int]:
    """A long side in pixels, the word ``original``, or WIDTHxHEIGHT as a pair of pixels."""
    try:
        if value == "original":
            return value
        sides = value.split("x") if isinstance(value, str) and "x" in value else value
        if isinstance(sides, list | tuple):
            width, height = sides
            return PIXELS(width), PIXELS(height)
        return PIXELS(value)
    except ValueError:
        raise ValueError(
            f"must be {PIXELS.range}, the word original, or WIDTHxHEIGHT, not {str(value)!r}"
        ) from None


def file_name(value: Any) -> str:
    """A path as text; ValueError if it is empty or no path at all."""
    try:
        if not isinstance(value, str | Path) or not os.fsencode(value) or "\0" in str(value):
            raise ValueError
    except ValueError:  # also of what no file system can encode
        raise ValueError(f"must be the name of a file or folder, not {str(value)!r}") from None
    return str(value)


def layer_weights(value: Any) -> tuple[tuple[str, float], ...]:
    """Layers with their weights, from names such as ``conv4_1`` and ``conv4_1:0.5``.

    A layer without a weight counts 1; the weights are scaled to sum to 1. Pairs (layer, weight)
    are taken too. Raises ValueError.
    """
    pairs = []
    if not isinstance(value, str | list | tuple):
        raise ValueError(f"must be layers, or pairs of layer and weight, not {value!r}")
    for item in [value] if isinstance(value, str) else value:
        if isinstance(item, str):
            name, colon, weight = item.partition(":")
        elif isinstance(item, list | tuple) and len(item) == 2:
            name, colon, weight = item[0], ":", item[1]
        else:
            raise ValueError(f"must be layers, or pairs of layer and weight, not {item!r}")
        if name not in networks.layers("VGG-19"):
            raise ValueError(f"must name VGG layers such as conv4_2 or pool3, not {name!r}")
        if name in dict(pairs):
            raise ValueError(f"must name each layer once, but {name} is there twice")
        try:
            pairs.append((name, Number(float, 0, 1e12, above_low=True)(weight if colon else 1)))
        except ValueError as error:
            raise ValueError(f"is given a weight for {name} that {error}") from None
    if not pairs:
        raise ValueError("must name at least one layer")
    total = math.fsum(weight for _, weight in pairs)
    if abs(total - 1) < 1e-9:  # weights that were scaled before stay as they are
        return tuple(pairs)
    return tuple((name, weight / total) for name, weight in pairs)


@dataclass(frozen=True)
class Optional:
    """A parser that leaves None, 'not given', as it is."""

    parse: Callable[[Any], Any]

    def __call__(self, value: Any) -> Any:
        """Return None or what the parser makes of ``value``."""
        return None if value is None else self.parse(value)


@dataclass(frozen=True)
class Several:
    """A parser for one or more values of a kind; a single one may stand alone."""

    parse: Callable[[Any], Any]

    def __call__(self, value: Any) -> tuple:
        """Return a tuple of at least one value."""
        items = value if isinstance(value, list | tuple) else [value]
        if not items:
            raise ValueError("must name at least one")
        return tuple(self.parse(item) for item in items)


def memory_size(value: Any) -> int:
    """Bytes, from a number or a text such as ``800M`` or ``4G`` (decimal)."""
    text = str(value).strip().upper().removesuffix("B")
    factor = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}.get(text[-1:], 1)
    try:
        return int(factor * Number(float, 1, 10**15)(text[:-1] if factor > 1 else text))
    except ValueError:
        raise ValueError(f"must be a size such as 800M or 4G, not {str(value)!r}") from None


def switch(value: Any) -> bool:
    """True or False; ValueError otherwise."""
    if not isinstance(value, bool):
        raise ValueError(f"must be True or False, not {str(value)!r}")
    return value
