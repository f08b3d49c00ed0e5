"""Every setting of a run: its default, its range and its help text, each declared once.

The command line, the Python API and ``run.json`` all read them from ``Settings``.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from nst import networks
from nst.errors import UsageError

PICTURES, COST, OPTIMISATION, MACHINE, OUTPUT = GROUPS = (
    "Pictures",
    "Cost",
    "Optimisation",
    "Machine",
    "Output",
)


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


START_WORDS = ("noisy_content", "content", "noise", "style")
PIXELS = Number(int, 1, 100_000)


def image_size(value: Any) -> int | str:
    """A long side in pixels, or the word ``original``; ValueError otherwise."""
    try:
        return value if value == "original" else PIXELS(value)
    except ValueError as error:
        raise ValueError(str(error).replace(", not", " or the word original, not")) from None


def file_name(value: Any) -> str:
    """A path as text; ValueError if it is empty or no path at all."""
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError(f"must be the name of a file or folder, not {str(value)!r}")
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
    total = sum(weight for _, weight in pairs)
    return tuple((name, weight / total) for name, weight in pairs)


def optional_file_name(value: Any) -> str | None:
    """Like ``file_name``, but None stands for 'not given'."""
    return None if value is None else file_name(value)


def memory_size(value: Any) -> int | None:
    """Bytes, from a number or a text such as ``800M`` or ``4G`` (decimal); None stays None."""
    if value is None:
        return None
    text = str(value).strip().upper().removesuffix("B")
    factor = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}.get(text[-1:], 1)
    try:
        return int(factor * Number(float, 1, 10**15)(text[:-1] if factor > 1 else text))
    except ValueError:
        raise ValueError(f"must be a size such as 800M or 4G, not {str(value)!r}") from None


def optional_pixels(value: Any) -> int | None:
    """Like ``PIXELS``, but None stands for 'not given'."""
    return None if value is None else PIXELS(value)


def switch(value: Any) -> bool:
    """True or False; ValueError otherwise."""
    if not isinstance(value, bool):
        raise ValueError(f"must be True or False, not {str(value)!r}")
    return value


def _setting(default: Any, group: str, help: str, parse: Callable, **extra: Any) -> Any:
    return field(default=default, metadata={"group": group, "help": help, "parse": parse, **extra})


@dataclass(frozen=True)
class Settings:
    """The settings of one run, validated; raises UsageError for a value out of its range."""

    content_image_filename: str = _setting(
        "temple.jpg",
        PICTURES,
        "content picture: what is painted; a bare name is also looked for in images/",
        file_name,
        metavar="FILE",
    )
    style_image_filename: str = _setting(
        "starlit_harbour.jpg",
        PICTURES,
        "style picture: how it is painted; a bare name is also looked for in images/",
        file_name,
        metavar="FILE",
    )
    image_size: int | str = _setting(
        400,
        PICTURES,
        "long side of the result in pixels, never enlarged; 'original' keeps the content's size",
        image_size,
        metavar="PIXELS",
    )
    alpha: float = _setting(
        10.0, COST, "weight of the content cost", Number(float, 0, 1e12), metavar="WEIGHT"
    )
    beta: float = _setting(
        40.0, COST, "weight of the style cost", Number(float, 0, 1e12), metavar="WEIGHT"
    )
    tv_weight: float = _setting(
        0.0, COST, "weight of the total variation cost", Number(float, 0, 1e12), metavar="WEIGHT"
    )
    content_layers: tuple = _setting(
        ("conv4_2",),
        COST,
        "layers of the content cost; each may carry a weight, conv4_2:3 conv5_2:1, else all count "
        "the same; the weights are scaled to sum to 1",
        layer_weights,
        metavar="LAYER",
        nargs="+",
    )
    style_layers: tuple = _setting(
        ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"),
        COST,
        "layers of the style cost, likewise",
        layer_weights,
        metavar="LAYER",
        nargs="+",
    )
    pooling: str = _setting("avg", COST, "pooling of the VGG network", Choice(("avg", "max")))
    model_path: str | None = _setting(
        None,
        COST,
        "VGG weights: MatConvNet .mat or Keras .h5; else a file in pretrained-model/, else "
        "Keras' VGG-19, downloaded, else the VGG-16 of the installed packages",
        optional_file_name,
        metavar="FILE",
    )
    epochs: int = _setting(
        200, OPTIMISATION, "iterations of the optimizer", Number(int, 1, 1_000_000), metavar="N"
    )
    learning_rate: float = _setting(
        2.0,
        OPTIMISATION,
        "step size of Adam, in pixel values of 0..255",
        Number(float, 0, 1000, above_low=True),
        metavar="RATE",
    )
    init: str = _setting(
        "noisy_content",
        OPTIMISATION,
        f"start image: {', '.join(START_WORDS)}, or a picture file, stretched to the content's "
        "size",
        file_name,
        metavar="START",
    )
    noise_ratio: float = _setting(
        0.6,
        OPTIMISATION,
        "share of noise in the start image noisy_content",
        Number(float, 0, 1),
        metavar="RATIO",
    )
    seed: int = _setting(
        0,
        OPTIMISATION,
        "seed of the noise: same seed, same picture",
        Number(int, 0, 2**32 - 1),
        metavar="N",
    )
    precision: str = _setting(
        "auto",
        MACHINE,
        "number type of the convolutions; auto takes bfloat16 where this machine is faster with it",
        Choice(("auto", "float32", "bfloat16", "float16")),
    )
    max_memory: int | None = _setting(
        None,
        MACHINE,
        "most memory to use, such as 800M or 4G; without it what is free, less a margin; large "
        "pictures are evaluated by tiles to stay within it, with the same result",
        memory_size,
        metavar="SIZE",
    )
    tile_size: int | None = _setting(
        None,
        MACHINE,
        "evaluate by tiles of about this many pixels; deeper layers, which need less memory, use "
        "larger ones where they fit; without it tiles are used where memory asks for them",
        optional_pixels,
        metavar="PIXELS",
    )
    dry_run: bool = _setting(
        False, MACHINE, "print sizes, network, memory and time, and make nothing", switch
    )
    output_dir: str = _setting(
        "output", OUTPUT, "where the run folders are made", file_name, metavar="FOLDER"
    )
    print_every: int = _setting(
        20,
        OUTPUT,
        "print the costs and save a frame every N iterations",
        Number(int, 1, 1_000_000),
        metavar="N",
    )
    overwrite: bool = _setting(
        False, OUTPUT, "start again in place instead of keeping an earlier result", switch
    )

    def __post_init__(self) -> None:
        for spec in fields(self):
            try:
                value = spec.metadata["parse"](getattr(self, spec.name))
            except ValueError as error:
                raise UsageError(f"{spec.name} {error}") from None
            object.__setattr__(self, spec.name, value)
        if self.alpha == 0 and self.beta == 0:
            raise UsageError("alpha and beta are both 0: there is nothing to minimise; raise one")

    def identity(self) -> dict[str, Any]:
        """The settings that decide what the run folder holds; files are known by their hashes."""
        elsewhere = {
            "content_image_filename",
            "style_image_filename",
            "model_path",
            "max_memory",
            "tile_size",
            "dry_run",
            "output_dir",
            "overwrite",
        }
        return {name: value for name, value in asdict(self).items() if name not in elsewhere}
