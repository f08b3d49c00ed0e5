"""Consecutive layers of the network for a picture of one size, evaluated by tiles."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from nst.engine.tile_graph import ByLayer, ByTerm, Counts, added, position_cost
from nst.engine.tile_graphs import TileGraphs
from nst.engine.tiling import StageTiling, Tile
from nst.vgg.layers import channels


class Stage:
    """One stage of the evaluation.

    Its input is the picture or the last activation of the previous stage, an array (H, W, C) called
    map here; what is computed for one tile is a tensor (1, h, w, C).
    """

    def __init__(
        self,
        graphs: TileGraphs,
        tiling: StageTiling,
        size: tuple[int, int],
        region_weights: tuple[float, ...],
        guides: Mapping[int, np.ndarray],
        style_means: ByTerm | None = None,
        last_pass: bool = False,
        position_guides: Mapping[int, np.ndarray] | None = None,
    ) -> None:
        """Prepare a stage for pictures of ``size``, (height, width) in pixels, without the border.

        region_weights: (R,). guides: of R regions, as ``mask_pyramid`` makes them; {} without
        masks. style_means: (R, ...) of each term, None if the style itself is measured. last_pass:
        use the terms of the last pass. position_guides: of the terms that compare positions,
        likewise, for one region; None where each position counts 1.
        """
        self.graphs = graphs
        self.graph = graphs.graph(
            tiling.layers, region_weights, bool(guides), last_pass, bool(position_guides)
        )
        self._style_targets = self.graph.style_targets(style_means) if style_means else {}
        self._border = graphs.border // tiling.stride  # in cells of the map
        with_border = size[0] + 2 * graphs.border, size[1] + 2 * graphs.border
        self._map_size = tiling.map_size(with_border)
        self.tiles = tiling.tiles(with_border)
        self._dtype = graphs.network.dtype.as_numpy_dtype
        self._size = tiling.map_size(size)
        self._content_map: np.ndarray | None = None
        self._position_targets: ByTerm = {}  # structures of arrays
        self._layer_of = {term.key: term.layer for term in self.graph.terms}
        self._means_over = {  # cells of an activation, by term
            term.key: position_cost(term).cells for term in self.graph.position_terms
        }
        self._guides: dict[str, np.ndarray] = {}  # by layer, or by the key of a position term
        if position_guides:
            for term in self.graph.position_terms:
                pixels = tiling.stride * self.graph.grid[term.layer]
                self._guides[term.key] = position_guides[pixels]
        positions, regions = {}, {}
        for key, layer in self._layer_of.items():
            shape = self._shape(layer, self._means_over.get(key, 1))
            positions[key] = tf.constant(float(math.prod(shape[:2])))
        step = max(
            [self.graph.grid[self._layer_of[k]] * n for k, n in self._means_over.items()] or [1]
        )
        if any(span % step for tile in self.tiles for span in tile.inside[:2]):
            raise ValueError(f"the tiles of a stage lie on no grid of {step}, which a cost needs")
        for layer in dict.fromkeys(term.layer for term in self.graph.mean_terms):
            sums = [math.prod(self._shape(layer)[:2])]
            if guides:
                guide = guides[tiling.stride * self.graph.grid[layer]]
                self._guides[layer] = guide
                sums = guide.sum(axis=(0, 1), dtype=np.float64)
            regions[layer] = tf.constant(sums, tf.float32)
        self.counts = Counts(positions, regions)

    def set_content(self, content: np.ndarray, keep: bool) -> np.ndarray:
        """Take the map of the content picture; return the one that the next stage reads.

        keep: of a stage that reads the picture: keep the content's activations. Otherwise the
        content picture is kept, and the activations are computed again for every tile. Later stages
        always keep the activations, which take no more memory than the map.
        """
        graph = self.graph
        if graph.is_last and not graph.position_terms:
            return self._empty_next_map()
        if graph.position_terms and not keep and graph.reads_picture:
            self._content_map = content
        else:
            self._position_targets, next_map = self.activations(content)
            return next_map
        if graph.is_last:
            return self._empty_next_map()  # computed again for every tile, when it is evaluated
        return self.activations(content, keep=False)[1]

    def set_targets(self, targets: ByTerm) -> None:
        """Take the targets of the terms that compare positions, structures of arrays."""
        self._position_targets = {term.key: targets[term.key] for term in self.graph.position_terms}

    def activations(self, stage_input: np.ndarray, keep: bool = True) -> tuple[ByTerm, np.ndarray]:
        """What position terms keep of a picture, and the map that the next stage reads.

        The first is {key of a term: (1, h, w, C)}, or {} if not ``keep``.
        """
        graph, kept = self.graph, dict[str, np.ndarray]()
        if keep:
            kept = {
                key: np.empty((1, *self._shape(self._layer_of[key], cells)), self._dtype)
                for key, cells in self._means_over.items()
            }
        next_map = self._empty_next_map()
        tiles = self._each_tile("activations", lambda tile: self._tile_input(stage_input, tile))
        for tile, (parts, last) in tiles:
            for key, whole in kept.items():
                whole[:, *self._measured_part_of(tile, key)] = parts[key].numpy()
            if not graph.is_last:
                next_map[self._part(tile, graph.layers[-1])] = last.numpy()[0]
        return kept, next_map

    def sum_tiles(
        self, stage_input: np.ndarray, compare: bool = False
    ) -> tuple[ByTerm, np.ndarray]:
        """Sums of the terms over all tiles, and the map that the next stage reads.

        compare: also sum the terms that compare positions. The map is empty after the last stage.
        """
        sums: ByTerm = {}
        next_map = self._empty_next_map()

        def arguments(tile: Tile) -> tuple:
            targets = self._targets(tile) if compare else {}
            return *self._tile_input(stage_input, tile), targets, self._tile_guides(tile)

        for tile, (part, last) in self._each_tile("sums" if compare else "style_sums", arguments):
            sums = added(sums, part)
            if not self.graph.is_last:
                next_map[self._part(tile, self.graph.layers[-1])] = last.numpy()[0]
        return sums, next_map

    def evaluate(self, stage_input: np.ndarray) -> tuple[ByTerm, np.ndarray]:
        """Values of the terms, and gradient of J with respect to the map, of the last stage.

        A stage of one tile takes a single pass.
        """
        if len(self.tiles) > 1:
            sums, _ = self.sum_tiles(stage_input, compare=True)
            values, dsums = self.judge(sums)
            return values, self.backward(stage_input, dsums, None)
        x = self._tile_input(stage_input, self.tiles[0])[0]
        values, gradient = self.graph.evaluate(x, *self.whole_arguments())
        return values, gradient.numpy()

    def whole_arguments(self) -> tuple:
        """What ``TileGraph.evaluate`` needs beside the map, for a stage with one tile."""
        tile = self.tiles[0]
        measured = tile.relative(tile.measured(self._size, self._border))
        return (
            tf.constant(measured),
            self._targets(tile),
            self._tile_guides(tile),
            self._style_targets,
            self.counts,
        )

    def judge(self, sums: ByTerm) -> tuple[ByTerm, ByTerm]:
        """``TileGraph.judge`` of the terms of this stage, from the sums over all its tiles."""
        return self.graph.judge(sums, self._style_targets, self.counts)

    def backward(
        self,
        stage_input: np.ndarray,
        dsums: ByTerm,
        upstream: np.ndarray | None,
    ) -> np.ndarray:
        """Gradient of J with respect to the map that this stage reads, (H, W, C).

        dsums: derivative with respect to the sums over all tiles. upstream: gradient with respect
        to the map that the next stage reads.
        """
        graph = self.graph
        dtype = tf.float32 if graph.reads_picture else graph.gradient_dtype
        total = np.zeros(stage_input.shape, dtype.as_numpy_dtype)
        last = graph.layers[-1]

        def arguments(tile: Tile) -> tuple:
            gradients = {}
            if upstream is not None:
                part = upstream[self._part(tile, last)][np.newaxis]
                gradients = {last: tf.constant(part, graph.gradient_dtype)}
            read = self._tile_input(stage_input, tile)
            return *read, self._targets(tile), self._tile_guides(tile), dsums, gradients

        for tile, gradient in self._each_tile("backward", arguments):
            total[tile.rows, tile.columns] += gradient.numpy()
        return total

    def _each_tile(
        self, name: str, arguments: Callable[[Tile], tuple]
    ) -> Iterator[tuple[Tile, Any]]:
        """Run the graph's function ``name`` for every tile; yield (tile, result) in order."""
        return zip(self.tiles, self.graphs.run(self.graph, name, map(arguments, self.tiles)))

    def _shape(self, layer: str, cells: int = 1) -> tuple[int, int, int]:
        """(H, W, C) of a layer's activation without the border, or of its means over ``cells``."""
        cells *= self.graph.grid[layer]
        height, width = (math.ceil(side / cells) for side in self._size)
        return height, width, channels(layer)

    def _part(self, tile: Tile, layer: str) -> tuple[slice, slice]:
        """Rows and columns of a layer's activation that are inside a tile."""
        return self._cells(tile.inside, layer)

    def _measured_part(self, tile: Tile, layer: str, cells: int = 1) -> tuple[slice, slice]:
        """Rows and columns that a tile measures of an activation without the border.

        cells: those of the activation's means over ``cells`` x ``cells``.
        """
        top, left, bottom, right = tile.measured(self._size, self._border)
        shift = self._border
        box = top - shift, left - shift, bottom - shift, right - shift
        return self._cells(box, layer, cells)

    def _measured_part_of(self, tile: Tile, key: str) -> tuple[slice, slice]:
        """Rows and columns that a tile measures of what a term keeps."""
        return self._measured_part(tile, self._layer_of[key], self._means_over[key])

    def _cells(
        self, box: tuple[int, int, int, int], layer: str, cells: int = 1
    ) -> tuple[slice, slice]:
        """Rows and columns of a layer's activation that are in a box of the map.

        cells: those of the activation's means over ``cells`` x ``cells``.
        """
        cells *= self.graph.grid[layer]
        top, left, bottom, right = box
        return slice(top // cells, -(-bottom // cells)), slice(left // cells, -(-right // cells))

    def _tile_input(
        self, stage_input: np.ndarray, tile: Tile
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The part of the map that a tile reads, (h, w, C), and the boxes in it.

        The boxes are the inside of the tile, and what is measured.
        """
        part = stage_input[tile.rows, tile.columns]
        if self.graph.reads_picture:
            part = np.asarray(part, np.float32)
        measured = tile.relative(tile.measured(self._size, self._border))
        return tf.constant(part), tf.constant(tile.relative(tile.inside)), tf.constant(measured)

    def _targets(self, tile: Tile) -> ByTerm:
        """The targets of the positions inside a tile, by term."""
        if self._content_map is not None:
            return self.graph.activations(*self._tile_input(self._content_map, tile))[0]
        targets = {}
        for key, whole in self._position_targets.items():
            part = self._measured_part_of(tile, key)
            targets[key] = tf.nest.map_structure(
                lambda array, part=part: tf.constant(array[:, *part] if array.ndim == 4 else array),
                whole,
            )
        return targets

    def _tile_guides(self, tile: Tile) -> ByLayer:
        return {
            key: tf.constant(guide[self._measured_part(tile, self._layer_of.get(key, key))])
            for key, guide in self._guides.items()
        }

    def _empty_next_map(self) -> np.ndarray:
        if self.graph.is_last:
            return np.empty(0, self._dtype)
        last = self.graph.layers[-1]
        height, width = (math.ceil(side / self.graph.grid[last]) for side in self._map_size)
        return np.empty((height, width, channels(last)), self._dtype)
