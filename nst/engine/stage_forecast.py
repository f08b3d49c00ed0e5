"""Forecast what one stage of a tiling takes: tiles, memory and work."""

import functools
import math
from dataclasses import dataclass

from nst.engine.budget import Size
from nst.engine.tiling import StageTiling
from nst.vgg.layers import channels

# Peak memory of evaluating a tile, as a multiple of all its activations (benchmarks/memory.py).
PEAK = {"float32": 1.6, "bfloat16": 2.0, "float16": 3.0}
ITEM = {"float32": 4, "bfloat16": 2, "float16": 2}  # bytes of an activation
GRADIENT_ITEM = {"float32": 4, "bfloat16": 2, "float16": 4}  # of its gradient


@dataclass(frozen=True)
class StageForecast:
    """What one stage takes.

    tiles: of the picture. kept: bytes held for the run or the evaluation. peak: bytes while a tile
    of the picture or of a style is evaluated. operations: of an evaluation of the picture.
    style_operations: of an evaluation of all styles.
    """

    tiles: int
    kept: float
    peak: float
    operations: float
    style_operations: float


@functools.lru_cache(maxsize=4096)
def stage_forecast(
    stage: StageTiling,
    depth: int,
    pictures: tuple[Size, ...],
    content_layers: tuple[str, ...],
    dtype: str,
    keeps_content: bool,
    is_last: bool,
) -> StageForecast:
    """What one stage takes.

    depth: channels of the map that it reads. pictures: sizes of the picture and of the styles, with
    their borders. keeps_content: whether the content's activations are kept for all tiles.
    """
    cell = _cell_work(stage.layers, depth, content_layers)
    item = ITEM[dtype]
    tiles, peaks, operations = [], [], []
    for size in pictures:
        rows, columns = stage.span_totals(size)
        tiles.append(rows.spans * columns.spans)
        peaks.append(PEAK[dtype] * item * cell.activations * rows.most * columns.most)
        once = tiles[-1] == 1 and is_last
        passes = (2 if once else 3) * cell.operations
        if not (keeps_content or once):
            passes += 2 * cell.content_operations
        operations.append(passes * rows.total * columns.total)
    cells = math.prod(stage.map_size(pictures[0]))
    kept = 0.0
    if keeps_content:
        kept += item * cell.content * cells
    if not is_last:  # the map of the next stage, and the gradient with respect to it
        kept += (item + GRADIENT_ITEM[dtype]) * cell.last * cells
    return StageForecast(tiles[0], kept, max(peaks), operations[0], sum(operations[1:]))


@dataclass(frozen=True)
class _CellWork:
    """What consecutive layers take for each cell of the map that the first of them reads.

    activations, content, last: numbers in the activations of all layers, of the content layers, and
    of the last layer. operations: of a forward pass to the last layer. content_operations: of one
    to the last content layer.
    """

    activations: float
    content: float
    last: float
    operations: float
    content_operations: float


@functools.cache
def _cell_work(layers: tuple[str, ...], depth: int, content_layers: tuple[str, ...]) -> _CellWork:
    """depth: channels of the map."""
    cells, activations, content, operations, content_operations = 1.0, 0.0, 0.0, 0.0, 0.0
    for layer in layers:
        if layer.startswith("pool"):
            cells /= 4
        else:
            operations += 2 * 9 * depth * channels(layer) * cells
        depth = channels(layer)
        activations += depth * cells
        if layer in content_layers:
            content += depth * cells
            content_operations = operations
    return _CellWork(activations, content, depth * cells, operations, content_operations)
