"""Decide how a picture is evaluated within a memory budget, and foretell memory and time.

The fastest plan that fits is taken: the whole picture at once; else the early layers by tiles and
the deeper ones, which need a fifth of the memory, at once or by larger tiles.
"""

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from nst import pyramid
from nst.errors import MemoryLimitError
from nst.networks import channels, layers_up_to
from nst.pictures import scaled_size, scaled_style
from nst.settings import Settings
from nst.tiling import WHOLE, Plan, StagePlan, Tile, halo

MARGIN = 0.9  # of the free memory is used
# Bytes a pixel for image, its successor, gradient, content, styles, and writing a frame.
PICTURE_BYTES = 3 * 12 + 2 * 12 + 12
OPTIMIZER_BYTES = {"adam": 2 * 12, "lbfgs": 5 * 12}
PAIR_BYTES = 2 * 12
MOST_PAIRS, FEWEST_PAIRS, PAIR_PIXELS = 20, 4, 80_000_000  # of L-BFGS
GUIDE_BYTES = 6  # a pixel of a mask at all grids
COLOUR_BYTES = 3 * 12  # content as it is, grey, and the picture with its colours restored
STYLE_BYTES = 12  # a pixel of a style, some of which are changed
# Working memory of TensorFlow and oneDNN beside the tensors: traced graphs, reordered kernels.
FIXED_BYTES = 300e6
# Peak memory of evaluating a tile, in times the size of all its activations (benchmarks/memory.py).
PEAK = {"float32": 1.6, "bfloat16": 2.0, "float16": 3.0}
ITEM = {"float32": 4, "bfloat16": 2, "float16": 2}
EFFICIENCY = 0.7  # of the rate of a typical convolution, over a whole evaluation
LONG = 600  # seconds after which advice is given
CUTS = ("pool2", "pool3")
TILE_SIZES = (8192, 6144, 4096, 3072, 2048, 1536, 1024, 768, 512, 384, 256, 128, 64)


@dataclass(frozen=True)
class Forecast:
    """A plan and what it will take.

    size: (height, width) of the scale. tiles: tiles of each stage. halo: of the first stage, in
    pixels. memory: peak in bytes. operations: of one evaluation, multiplications and additions,
    one after the other.
    """

    plan: Plan
    size: tuple[int, int]
    tiles: tuple[int, ...]
    halo: int
    memory: float
    operations: float


def choose(
    settings: Settings,
    network: str,
    dtype: str,
    size: tuple[int, int],
    styles: Sequence[tuple[tuple[int, int], float]],
    wanted: Sequence[Plan] | None = None,
    share: float = 1.0,
    workers: int = 1,
) -> list[Forecast]:
    """Return the fastest plan of each scale within the memory budget of ``settings``.

    size: (height, width) of the picture in pixels. styles: the same of each style, and the long
    side that it was asked for. dtype: name of the type of the convolutions. wanted: plans that are
    taken instead where they fit, one for each scale. share: of the free memory that may be used.
    workers: among which tiles are spread.
    Raises MemoryLimitError, with the smallest budget that would do.
    """
    resident = resident_before()
    budget = settings.max_memory
    if not budget:
        budget = psutil.Process().memory_info().rss + share * MARGIN * free_memory()
    found = []
    for number, factor in enumerate(pyramid.factors(settings, size)):
        of_scale = scaled_size(size, factor), [scaled_style(*style, factor) for style in styles]
        # Nothing takes fewer operations than the whole picture at once.
        whole = [WHOLE] if settings.tile_size is None and workers == 1 else []
        for plans in ([wanted[number]] if wanted else [], whole, _plans(settings)):
            forecasts = [
                forecast(plan, settings, network, dtype, *of_scale, resident, workers)
                for plan in plans
            ]
            if any(of_plan.memory <= budget for of_plan in forecasts):
                break
            if plans and wanted and settings.max_memory:  # it was found to fit before
                budget = math.inf
                break
        found.append(_fastest(forecasts, settings, budget))
    return found


@functools.cache
def resident_before() -> int:
    """Bytes that the process held before its first picture, so that every picture of a batch has
    the same plan, and a run that goes on the one that it began with."""
    return psutil.Process().memory_info().rss


def lbfgs_memory(size: tuple[int, int]) -> int:
    """How many pairs L-BFGS keeps for an image of ``size``, (height, width).

    It depends on nothing else, so that the result does not depend on the machine's memory.
    """
    return min(MOST_PAIRS, max(FEWEST_PAIRS, PAIR_PIXELS // math.prod(size)))


def _fastest(forecasts: Sequence[Forecast], settings: Settings, budget: float) -> Forecast:
    """The forecast that takes the fewest operations among those of a scale within the budget."""
    fitting = [found for found in forecasts if found.memory <= budget]
    if fitting:
        return min(fitting, key=lambda found: found.operations)
    least = min(found.memory for found in forecasts)
    other = " or drop --tile_size" if settings.tile_size else ""
    height, width = forecasts[0].size
    raise MemoryLimitError(
        f"{width} x {height} pixels need at least {memory_text(least)} of memory, the budget is "
        f"{memory_text(budget)}; use a smaller --image_size or a larger --max_memory{other}"
    )


def free_memory() -> int:
    """Bytes that this process may still take: free in the machine and in its control group."""
    free = psutil.virtual_memory().available
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text().strip()
        if limit != "max":
            free = min(free, int(limit) - int((group / "memory.current").read_text()))
    except (OSError, ValueError):
        pass  # no control groups of version 2 here
    return max(0, free)


def forecast(
    plan: Plan,
    settings: Settings,
    network: str,
    dtype: str,
    size: tuple[int, int],
    style_sizes: Sequence[tuple[int, int]],
    resident: int,
    workers: int = 1,
) -> Forecast:
    """Foretell what a plan takes at one scale. resident: bytes that the process holds already."""
    layers = layers_up_to(network, settings.used_layers)
    stages = plan.stages(layers)
    of_content = _stage_forecasts(stages, settings, dtype, size, plan)
    of_styles = [
        stage
        for style in style_sizes
        for stage in _stage_forecasts(stages, settings, dtype, style, plan)
    ]
    of_pixel = PICTURE_BYTES + OPTIMIZER_BYTES[settings.optimizer]
    if settings.optimizer == "lbfgs":
        of_pixel += PAIR_BYTES * lbfgs_memory(size)
    if settings.preserve_colors != "none":
        of_pixel += COLOUR_BYTES
    memory = resident + FIXED_BYTES + of_pixel * math.prod(size)
    memory += STYLE_BYTES * sum(map(math.prod, style_sizes))
    memory += GUIDE_BYTES * len(settings.content_mask or ()) * math.prod(size)
    memory += sum(stage.kept for stage in of_content)
    memory += max(stage.peak for stage in (*of_content, *of_styles))
    operations = sum(
        stage.operations / stage.tiles * math.ceil(stage.tiles / workers) for stage in of_content
    )
    around = halo(stages[0].layers) if of_content[0].tiles > 1 else 0
    tiles = tuple(stage.tiles for stage in of_content)
    return Forecast(plan, size, tiles, around, memory, operations)


def duration(found: Sequence[Forecast], settings: Settings, rate: float) -> float:
    """Seconds that a run will take. rate: operations a second of a typical convolution."""
    shares = pyramid.iterations(settings, len(found))
    operations = sum(len(share) * scale.operations for share, scale in zip(shares, found))
    return operations / (EFFICIENCY * rate)


def describe(found: Sequence[Forecast], settings: Settings, rate: float) -> list[str]:
    """Tell a user what a run will take. rate: operations a second of a typical convolution."""
    shares = pyramid.iterations(settings, len(found))
    lines = []
    if len(found) > 1:
        sizes = (f"{scale.size[1]} x {scale.size[0]}" for scale in found)
        ends = (str(share.stop - 1) for share in shares)
        lines.append(f"Scales    {', '.join(sizes)}, up to iterations {', '.join(ends)}")
    finest = found[-1]
    if max(finest.tiles) == 1:
        lines.append("Plan      the whole picture at once")
    else:
        tiles = " + ".join(map(str, finest.tiles))
        lines.append(f"Plan      {tiles} tiles, the first with a halo of {finest.halo} pixels")
    seconds = duration(found, settings, rate)
    lines.append(f"Memory    up to about {memory_text(max(scale.memory for scale in found))}")
    lines.append(f"Time      about {duration_text(seconds)} for {settings.epochs} epochs")
    if seconds > LONG:
        lines.append(
            "          A smaller --image_size or fewer --epochs take less; "
            "time goes with the number of pixels."
        )
    return lines


def duration_text(seconds: float) -> str:
    """Seconds for a user to read."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


@dataclass(frozen=True)
class _StageForecast:
    tiles: int
    kept: float  # bytes, for as long as the run lasts or the evaluation needs them
    peak: float  # bytes, while a tile is evaluated
    operations: float


def _plans(settings: Settings) -> Iterator[Plan]:
    """Every plan by tiles that is worth a thought, and the whole where tiles are not asked for."""
    if settings.tile_size is None:
        yield WHOLE
    for keep in (True, False):
        for cut in CUTS:
            for size in (settings.tile_size,) if settings.tile_size else TILE_SIZES:
                for deeper in (None, *TILE_SIZES):
                    if deeper is None or deeper >= size:
                        yield Plan(((cut, size), (None, deeper)), keep)


def _stage_forecasts(
    stages: list[StagePlan],
    settings: Settings,
    dtype: str,
    size: tuple[int, int],
    plan: Plan,
) -> list[_StageForecast]:
    found = []
    depth = 3
    for number, stage in enumerate(stages):
        height, width = stage.map_size(size)
        read = [_area(tile) for tile in stage.tiles(size)]
        hands_on = number + 1 < len(stages)
        activations, operations, to_content, kept, here = 0.0, 0.0, 0.0, 0.0, 1.0
        for layer in stage.layers:
            if layer.startswith("pool"):
                here /= 4
            else:
                operations += 2 * 9 * depth * channels(layer) * here
            depth = channels(layer)
            activations += depth * here
            if layer in dict(settings.used_content_layers):
                to_content = operations
                if plan.keep_content or number:
                    kept += depth * here * ITEM[dtype] * height * width
        if hands_on:  # the map, and the slope with respect to it
            item = ITEM[dtype] + max(ITEM[dtype], 4 if dtype == "float16" else 0)
            kept += depth * here * item * height * width
        once = len(read) == 1 and not hands_on
        again = 0 if plan.keep_content or number or once else 2 * to_content
        found.append(
            _StageForecast(
                len(read),
                kept,
                PEAK[dtype] * ITEM[dtype] * activations * max(read),
                sum(read) * ((2 if once else 3) * operations + again),
            )
        )
    return found


def _area(tile: Tile) -> int:
    return (tile.bottom - tile.top) * (tile.right - tile.left)


def memory_text(size: float) -> str:
    """Bytes for a user to read."""
    return f"{size / 1e9:.1f}G"
