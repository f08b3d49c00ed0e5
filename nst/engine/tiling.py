"""Cut a picture, or a map of activations, into tiles whose evaluation is exact.

A tile is read with a halo around it: as wide as the activations inside can see. Its corner lies on
the grid of the deepest pool, so that every pooling window falls into place. Which tiling is taken
within a memory budget is decided in ``nst.engine.forecast``.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple


@dataclass(frozen=True)
class Tiling:
    """How the evaluation of a picture is cut into stages and tiles; the default is not at all.

    cuts: (last layer, tile size in pixels of the picture) of each stage, in order. A last layer of
        None means the deepest one, a tile size of None no tiles.
    keep_content: keep the content's activations of the first stage, instead of computing them
        again for every tile.
    """

    cuts: tuple[tuple[str | None, int | None], ...] = ((None, None),)
    keep_content: bool = True

    def stages(self, layers: Sequence[str]) -> list["StageTiling"]:
        """Cut consecutive layers into stages."""
        stages: list[StageTiling] = []
        first, stride = 0, 1
        for last, tile_size in self.cuts:
            end = 1 + layers.index(last) if last in layers else len(layers)
            if first < end:
                stages.append(StageTiling(tuple(layers[first:end]), stride, tile_size))
                stride *= grid(layers[first:end])
                first = end
        return stages


WHOLE = Tiling()


@dataclass(frozen=True)
class StageTiling:
    """Consecutive layers, evaluated by tiles of the map that the first of them reads.

    stride: pixels of the picture along one cell of that map.
    tile_size: in pixels of the picture, None for no tiles.
    """

    layers: tuple[str, ...]
    stride: int
    tile_size: int | None

    def map_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of the map in cells, for a picture of (height, width) pixels."""
        return math.ceil(size[0] / self.stride), math.ceil(size[1] / self.stride)

    def spans(self, size: tuple[int, int]) -> tuple[tuple["Span", ...], tuple["Span", ...]]:
        """Rows and columns of the tiles, for a picture of (height, width) pixels.

        Each row with each column is a tile.
        """
        height, width = self.map_size(size)
        cells = self._tile_cells(height, width)
        return spans(height, cells, self.layers), spans(width, cells, self.layers)

    def span_totals(self, size: tuple[int, int]) -> tuple["SpanTotals", "SpanTotals"]:
        """Totals of the rows and of the columns of the tiles, for a picture of ``size``."""
        height, width = self.map_size(size)
        cells = self._tile_cells(height, width)
        return span_totals(height, cells, self.layers), span_totals(width, cells, self.layers)

    def _tile_cells(self, height: int, width: int) -> int:
        """Cells of the map along one side of a tile."""
        if self.tile_size is None:
            return max(height, width)
        return max(1, self.tile_size // self.stride)

    def tiles(self, size: tuple[int, int]) -> list["Tile"]:
        """Tiles of the map, for a picture of (height, width) pixels."""
        return [Tile(*pair) for pair in itertools.product(*self.spans(size))]


@dataclass(frozen=True)
class Span:
    """Cells of one tile along one side of a map.

    start, stop: the cells that are read, halo included. first, end: the cells inside, without the
    halo; the insides of all spans cover the side once.
    """

    start: int
    stop: int
    first: int
    end: int

    @property
    def cells(self) -> int:
        """How many cells are read."""
        return self.stop - self.start


@dataclass(frozen=True)
class Tile:
    """One tile of a map, in cells of the map."""

    row_span: Span
    column_span: Span

    @property
    def rows(self) -> slice:
        """Rows of the map that are read, halo included."""
        return slice(self.row_span.start, self.row_span.stop)

    @property
    def columns(self) -> slice:
        """Columns of the map that are read, halo included."""
        return slice(self.column_span.start, self.column_span.stop)

    @property
    def inside(self) -> tuple[int, int, int, int]:
        """(top, left, bottom, right) without the halo."""
        rows, columns = self.row_span, self.column_span
        return rows.first, columns.first, rows.end, columns.end

    def measured(self, size: tuple[int, int], border: int) -> tuple[int, int, int, int]:
        """``inside`` without the border of a map; empty, but inside, for a tile in the border.

        size: (height, width) of the map without its border of ``border`` cells.
        """
        sides = []
        for span, side in zip((self.row_span, self.column_span), size):
            first = min(max(span.first, border), span.end)
            sides.append((first, max(first, min(span.end, border + side))))
        (top, bottom), (left, right) = sides
        return top, left, bottom, right

    def relative(self, box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        """A box of the map, relative to the part that is read."""
        top, left, bottom, right = box
        rows, columns = self.row_span.start, self.column_span.start
        return top - rows, left - columns, bottom - rows, right - columns


def grid(layers: Sequence[str]) -> int:
    """Cells of the input map along one cell after the last of ``layers``."""
    return 2 ** sum(layer.startswith("pool") for layer in layers)


def halo(layers: Sequence[str]) -> int:
    """Width of the halo that ``layers`` need, in cells of their input map, rounded up to the grid.

    Backwards from the last layer: a 3 x 3 convolution sees one cell more on each side, a pool turns
    a cell into two.
    """
    width = 0
    for layer in reversed(layers):
        width = width * 2 if layer.startswith("pool") else width + 1
    step = grid(layers)
    return -(-width // step) * step


@lru_cache(maxsize=4096)
def spans(side: int, size: int, layers: tuple[str, ...]) -> tuple[Span, ...]:
    """Cut a side of ``side`` cells into spans of about ``size`` cells inside.

    ``size`` is rounded up to the grid of ``layers``. The insides are of nearly equal sizes, the
    fewest that do not exceed it.
    """
    step, around = grid(layers), halo(layers)
    size = max(step, -(-size // step) * step)
    count = -(-side // size)
    steps = -(-side // step)
    cuts = [min(side, step * (steps * index // count)) for index in range(count)] + [side]
    return tuple(
        Span(max(0, first - around), min(side, end + around), first, end)
        for first, end in itertools.pairwise(cuts)
    )


class SpanTotals(NamedTuple):
    """spans: their number. most, total: cells that the largest, and all of them, read."""

    spans: int
    most: int
    total: int


@lru_cache(maxsize=4096)
def span_totals(side: int, size: int, layers: tuple[str, ...]) -> SpanTotals:
    """Totals of ``spans(side, size, layers)``."""
    cells = [span.cells for span in spans(side, size, layers)]
    return SpanTotals(len(cells), max(cells), sum(cells))
