"""Parsers of settings: a value, or its text on a command line -> the validated value.

Each raises ValueError with a message to be put after the name of the setting. ``setting`` declares
a setting with its parser, ``parse_setting`` applies the parser.
"""

import math
import os
import re
from collections.abc import Callable
from dataclasses import Field, dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from nst.errors import UsageError
from nst.vgg.layers import channels, layer_names

LONGEST = 300  # characters of an error message, which may quote a long value
N = TypeVar("N", int, float)


@dataclass(frozen=True)
class Number(Generic[N]):
    """A parser for finite numbers of type ``kind`` in [low, high], or (low, high] if ``above_low``.

    With ``kind`` int a float, or a text such as ``1e3``, must be a whole number.
    """

    kind: type[N]
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

    def __call__(self, value: Any) -> N:
        """Return ``value``, a number or its text, as ``kind``; ValueError outside the range."""
        number = self._convert(value)
        if number is None or not self._in_range(number):
            raise ValueError(f"must be {self.range}, not {str(value)!r}")
        return number

    def _convert(self, value: Any) -> N | None:
        """``value`` as ``kind``; None if that is no number, or would cut off a fraction."""
        if isinstance(value, bool):
            return None
        if self.kind is int and isinstance(value, str) and re.search("[.eE]", value):
            try:
                value = float(value)  # 1e3
            except ValueError:
                return None
        try:
            number = self.kind(value)
            is_exact = self.kind is float or number == float(value)
        except (TypeError, ValueError, OverflowError):
            return None
        return number if is_exact else None

    def _in_range(self, number: N) -> bool:
        if self.above_low and number == self.low:
            return False
        return math.isfinite(number) and self.low <= number <= self.high


@dataclass(frozen=True)
class Choice:
    """A parser for one of a few words."""

    words: tuple[str, ...]

    @property
    def range(self) -> str:
        """The allowed values in words."""
        return ", ".join(self.words[:-1]) + " or " + self.words[-1]

    def __call__(self, value: Any) -> str:
        """Return ``value`` if it is one of the words; ValueError otherwise."""
        if value not in self.words:
            raise ValueError(f"must be {self.range}, not {str(value)!r}")
        return value


@dataclass(frozen=True)
class OrWord:
    """A parser for a whole number or one word."""

    word: str
    parse: Number[int]

    def __call__(self, value: Any) -> int | str:
        """Return the word, or the number of ``value``; ValueError if it is neither."""
        try:
            return value if value == self.word else self.parse(value)
        except ValueError:
            raise ValueError(
                f"must be {self.parse.range}, or the word {self.word}, not {str(value)!r}"
            ) from None


PIXELS = Number(int, 1, 100_000)
SIDES = re.compile("([^xX\N{MULTIPLICATION SIGN}]+)[xX\N{MULTIPLICATION SIGN}]([^xX]+)")


def image_size(value: Any) -> int | str | tuple[int, int]:
    """Return the long side in pixels, the word ``original``, or (width, height) in pixels.

    Between width and height stands x, X or a multiplication sign.
    """
    try:
        if value == "original":
            return value
        pair = SIDES.fullmatch(value) if isinstance(value, str) else None
        sides = pair.groups() if pair else value
        if isinstance(sides, list | tuple):
            width, height = sides
            return PIXELS(width), PIXELS(height)
        return PIXELS(value)
    except ValueError:
        raise ValueError(
            f"must be {PIXELS.range}, the word original, or WIDTHxHEIGHT, not {str(value)!r}"
        ) from None


def path_text(value: Any) -> str:
    """Return a path, or a pattern of paths, as text; ValueError if it is empty or cannot be one."""
    try:
        if not isinstance(value, str | Path) or not os.fsencode(value) or "\0" in str(value):
            raise ValueError
    except ValueError:  # also raised by fsencode for unencodable text
        raise ValueError(f"must be the name of a file or folder, not {str(value)!r}") from None
    return str(value)


def file_name(value: Any) -> str:
    """Return a path as text, with the home folder in place of a leading ``~`` or ``~user``.

    The shell leaves it where it is quoted or follows ``=``. A file of that very name comes first.
    Raises ValueError for what cannot be a path, and for a home folder that is not known.
    """
    text = path_text(value)
    if not text.startswith("~") or os.path.lexists(text):
        return text
    expanded = os.path.expanduser(text)
    user, slash, _ = text.partition("/")
    # "~draft.png" is an ordinary name; "~/a.png" and "~user/a.png" mean a home folder.
    if expanded == text and (slash or user == "~") and not os.path.lexists(user):
        raise ValueError(
            f"names a home folder that is not known here, {user}; write it out, or ./{text} for a "
            "folder of that very name"
        )
    return expanded


BALANCE = 250.0  # of content and style in the authors' own code, as alpha : beta = 1 : 4


def authors_weight(layer: str) -> float:
    """The weight of a style layer with C channels, 250 / C^2.

    The Gram matrices of few channels have the larger entries: these weights make the layers count
    alike. Source: the code that Gatys et al. published, which has 1000 / C^2 for a style cost of
    4 J_style and a content cost of 4 J_content.
    """
    return BALANCE / channels(layer) ** 2


@dataclass(frozen=True)
class LayerWeights:
    """A parser for layers with weights: names, ``conv4_1:0.5``, or (layer, weight) pairs.

    default: the weight of a layer, if none is given with any of them; None for equal ones that sum
    to 1. Given weights are scaled to sum to 1, and one that is left out beside them is 1.
    """

    default: Callable[[str], float] | None = None

    def __call__(self, value: Any) -> tuple[tuple[str, float], ...]:
        """Return (layer, weight) pairs; raises ValueError."""
        pairs: list[tuple[str, float | None]] = []
        if not isinstance(value, str | list | tuple):
            raise ValueError(f"must be layers, or pairs of layer and weight, not {value!r}")
        for item in [value] if isinstance(value, str) else value:
            name, weight = _layer_weight(item)
            if name in dict(pairs):
                raise ValueError(f"must name each layer once, but {name} is there twice")
            pairs.append((name, weight))
        if not pairs:
            raise ValueError("must name at least one layer")
        return self._scaled(pairs)

    def _scaled(self, pairs: list[tuple[str, float | None]]) -> tuple[tuple[str, float], ...]:
        if self.default is not None:
            defaults = tuple((name, self.default(name)) for name, _ in pairs)
            if all(weight in (None, own) for (_, weight), (_, own) in zip(pairs, defaults)):
                return defaults
        weights = [(name, 1.0 if weight is None else weight) for name, weight in pairs]
        total = math.fsum(weight for _, weight in weights)
        if abs(total - 1) < 1e-9:  # scaled before: rounding must not change the weights again
            return tuple(weights)
        return tuple((name, weight / total) for name, weight in weights)


def _layer_weight(item: Any) -> tuple[str, float | None]:
    """A layer and its weight, None if it has none; raises ValueError."""
    weight: Any = None
    if isinstance(item, str):
        name, colon, text = item.partition(":")
        weight = text if colon else None
    elif isinstance(item, list | tuple) and len(item) == 2:
        name, weight = item
    else:
        raise ValueError(f"must be layers, or pairs of layer and weight, not {item!r}")
    if name not in layer_names("VGG-19"):
        raise ValueError(f"must name VGG layers such as conv4_2 or pool3, not {name!r}")
    try:
        return name, None if weight is None else Number(float, 0, 1e12, above_low=True)(weight)
    except ValueError as error:
        raise ValueError(f"is given a weight for {name} that {error}") from None


@dataclass(frozen=True)
class Optional:
    """A parser that passes None, for 'not given'."""

    parse: Callable[[Any], Any]

    def __call__(self, value: Any) -> Any:
        """Return None, or the parsed value."""
        return None if value is None else self.parse(value)


@dataclass(frozen=True)
class Several:
    """A parser for one or more values; a single value needs no list."""

    parse: Callable[[Any], Any]

    def __call__(self, value: Any) -> tuple[Any, ...]:
        """Return the parsed values, at least one; raises ValueError."""
        items = value if isinstance(value, list | tuple) else [value]
        if not items:
            raise ValueError("must name at least one")
        return tuple(self.parse(item) for item in items)


MEMORY = re.compile(r"\s*([0-9._e+-]+)\s*(?:([KMGT])(I?))?B?\s*", re.IGNORECASE)


def memory_size(value: Any) -> int:
    """Return bytes, from a number or a text such as ``800M``, ``0.5 GB`` or ``4GiB``.

    K, M, G and T are decimal units, Ki, Mi, Gi and Ti binary ones (powers of 1024), in either case.
    Raises ValueError unless the result is from 1 to 10**15 bytes.
    """
    try:
        match = MEMORY.fullmatch(str(value))
        if not match:
            raise ValueError
        number, unit, binary = match.groups()
        power = " KMGT".index(unit.upper()) if unit else 0
        factor = (1024 if binary else 1000) ** power
        return Number(int, 1, 10**15)(round(factor * float(number)))
    except (OverflowError, ValueError):  # OverflowError for infinity
        raise ValueError(f"must be a size such as 800M, 4G or 4GiB, not {str(value)!r}") from None


def mask_colors(value: Any) -> tuple[str, ...]:
    """Return pairs ``#rrggbb=STYLE`` or ``NUMBER=STYLE`` of colours of a label picture.

    value: pairs, or colours, indices or levels in the order of the styles; names such as ``red``,
    and ``#rgb``. STYLE is the number of a style, from 1. Raises ValueError.
    """
    items = value if isinstance(value, list | tuple) else [value]
    if not items:
        raise ValueError("must name at least one")
    pairs: dict[str, int] = {}
    for number, item in enumerate(items, 1):
        colour, equals, style = str(item).partition("=")
        name = _mask_color(colour)
        if name in pairs:
            raise ValueError(f"must name each colour once, but {colour} is there twice")
        try:
            pairs[name] = Number(int, 1, 1000)(style) if equals else number
        except ValueError:
            raise ValueError(
                f"must give {colour} the number of a style, which begin with 1, not {style!r}"
            ) from None
    return tuple(f"{name}={style}" for name, style in pairs.items())


def _mask_color(text: str) -> str:
    """``#rrggbb``, or a number without leading zeros; raises ValueError."""
    from PIL import ImageColor  # late: few runs need it

    text = text.strip()
    if text.isascii() and text.isdigit():
        return str(int(text))
    try:
        red, green, blue = ImageColor.getrgb(text)[:3]
    except ValueError:
        raise ValueError(
            f"must be colours such as red or #ff0000, palette indices or grey levels, not {text!r}"
        ) from None
    return f"#{red:02x}{green:02x}{blue:02x}"


DEVICE = re.compile("auto|cpu|gpu(:(0|[1-9][0-9]{0,2}))?")


def device(value: Any) -> str:
    """Return a word for a device; raises ValueError."""
    if not isinstance(value, str) or not DEVICE.fullmatch(value):
        raise ValueError(f"must be auto, cpu, gpu or gpu:N, such as gpu:1, not {str(value)!r}")
    return value


def switch(value: Any) -> bool:
    """Return True or False; ValueError for anything else."""
    if not isinstance(value, bool):
        raise ValueError(f"must be True or False, not {str(value)!r}")
    return value


def setting(
    default: Any, group: str, help: str, parse: Callable[[Any], Any], **argparse_options: Any
) -> Any:
    """Declare a setting: a dataclass field whose metadata describe its command-line option."""
    metadata = {"group": group, "help": help, "parse": parse, **argparse_options}
    return field(default=default, metadata=metadata)


def parse_setting(spec: Field[Any], value: Any) -> Any:
    """Return the parsed value of a setting; raises UsageError, naming the setting."""
    try:
        return spec.metadata["parse"](value)
    except ValueError as error:
        text = str(error)
        if len(text) > LONGEST:
            text = f"{text[:LONGEST]} ..."
        raise UsageError(f"{spec.name} {text}") from None
