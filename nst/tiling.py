"""Cut a picture, or a map of activations, into tiles whose evaluation is exact.

A tile is read with a halo around it: as wide as the activations inside can see. Its corner lies on
the grid of the deepest pool, so that every pooling window falls into place.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Plan:
    """How the evaluation is cut up; the default is not at all.

    cuts: (last layer of a stage, tile size in pixels of the picture) for each stage in order; a
        stage whose last layer is None goes to the deepest one; a tile size of None is no tiles.
    keep_content: keep the content's activations of the first stage, instead of computing them
        again for every tile.
    """

    cuts: tuple[tuple[str | None, int | None], ...] = ((None, None),)
    keep_content: bool = True

    def stages(self, layers: Sequence[str]) -> list["StagePlan"]:
        """Cut consecutive layers into stages."""
        stages, first, stride = [], 0, 1
        for last, tile_size in self.cuts:
            end = 1 + layers.index(last) if last in layers else len(layers)
            if first < end:
                stages.append(StagePlan(tuple(layers[first:end]), stride, tile_size))
                stride *= grid(layers[first:end])
                first = end
        return stages


WHOLE = Plan()


@dataclass(frozen=True)
class StagePlan:
    """Consecutive layers, evaluated by tiles of a map.

    stride: pixels of the picture along one cell of the map that the first layer reads.
    tile_size: in pixels of the picture, None for no tiles.
    """

    layers: tuple[str, ...]
    stride: int
    tile_size: int | None

    def map_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) in cells of the map, for a picture of (height, width) pixels."""
        return math.ceil(size[0] / self.stride), math.ceil(size[1] / self.stride)

    def tiles(self, size: tuple[int, int]) -> list["Tile"]:
        """Tiles of the map, for a picture of (height, width) pixels."""
        height, width = self.map_size(size)
        cells = max(height, width) if self.tile_size is None else self.tile_size // self.stride
        return tiles(height, width, max(1, cells), self.layers)


@dataclass(frozen=True)
class Tile:
    """One tile of a map: what is read of it, and what of that is inside.

    top, left, bottom, right: the part that is read, in cells of the map, halo included.
    inside: (top, left, bottom, right) of the part without halo, in the same cells; the insides of
        all the tiles cover the map once.
    """

    top: int
    left: int
    bottom: int
    right: int
    inside: tuple[int, int, int, int]

    @property
    def rows(self) -> slice:
        """Rows of the map that are read."""
        return slice(self.top, self.bottom)

    @property
    def columns(self) -> slice:
        """Columns of the map that are read."""
        return slice(self.left, self.right)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """``inside``, relative to the part that is read."""
        top, left, bottom, right = self.inside
        return top - self.top, left - self.left, bottom - self.top, right - self.left


def grid(layers: Sequence[str]) -> int:
    """Cells of the input map that one cell after the last of ``layers`` stands for."""
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


def tiles(height: int, width: int, size: int, layers: Sequence[str]) -> list[Tile]:
    """Cover a map of height x width cells with tiles of about ``size`` x ``size`` cells inside.

    ``size`` is rounded up to the grid of ``layers``. Tiles are of nearly equal sizes, the fewest
    that do not exceed it.
    """
    step, around = grid(layers), halo(layers)
    rows, columns = (_cuts(side, size, step) for side in (height, width))
    found = []
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            found.append(
                Tile(
                    max(0, top - around),
                    max(0, left - around),
                    min(height, bottom + around),
                    min(width, right + around),
                    (top, left, bottom, right),
                )
            )
    return found


def _cuts(side: int, size: int, step: int) -> list[int]:
    """Where a side is cut: on the grid, into the fewest nearly equal parts of ``size`` at most."""
    size = max(step, -(-size // step) * step)
    count = -(-side // size)
    cells = -(-side // step)  # in steps
    return [min(side, step * (cells * index // count)) for index in range(count)] + [side]
