"""Consecutive layers of the network for a picture of one size, evaluated by tiles."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from nst.networks import channels
from nst.tile_graph import Graphs, Masses, Tensors
from nst.tiling import StagePlan, Tile


class Stage:
    """One stage of the evaluation.

    What it reads is a map (H, W, C): the picture, or the activation that the stage before ends
    with. Maps are NumPy arrays; what is computed for one tile is a tensor (1, h, w, C).
    """

    def __init__(
        self,
        graphs: Graphs,
        cut: StagePlan,
        size: tuple[int, int],
        weights: tuple[float, ...],
        guides: dict[int, np.ndarray],
    ) -> None:
        """Prepare a stage for pictures of ``size``, (height, width) in pixels.

        weights, guides: of R regions, as ``nst.guides.pyramid`` gives them; {} for no guides.
        """
        self.graphs = graphs
        self.graph = graphs.of(cut.layers, weights, bool(guides))
        self.tiles = cut.tiles(size)
        self._dtype = graphs.vgg.dtype
        self._size = cut.map_size(size)
        self._content_map: np.ndarray | None = None
        self._content_targets: dict[str, np.ndarray] = {}
        style = self.graph.style
        self._guides = {n: guides[cut.stride * self.graph.grid[n]] for n in style if guides}
        regions = {name: [math.prod(self._shape(name)[:2])] for name in style}
        regions |= {n: g.sum(axis=(0, 1), dtype=np.float64) for n, g in self._guides.items()}
        self.masses = Masses(
            {
                name: tf.constant(float(math.prod(self._shape(name)[:2])))
                for name in self.graph.content | style
            },
            {name: tf.constant(sums, tf.float32) for name, sums in regions.items()},
        )

    def set_content(self, content: np.ndarray | None, keep: bool) -> np.ndarray | None:
        """Take the map of the content picture; return the one that the next stage reads.

        keep: keep the activations of the content layers of a stage that reads the picture, rather
        than the picture, from which they are computed again for every tile. Other stages keep
        them: they take no more memory than the map.
        """
        graph = self.graph
        if content is None or not (graph.content or graph.hands_on):
            return None
        if graph.content and not keep and graph.reads_picture:
            self._content_map = content
        else:
            self._content_targets = {
                name: np.empty((1, *self._shape(name)), self._dtype.as_numpy_dtype)
                for name in graph.content
            }
        following = self._empty_following()
        for tile, found in self._each("activations", lambda tile: self._read(content, tile)):
            for name, target in self._content_targets.items():
                target[:, *self._part(tile, name)] = found[name].numpy()
            if following is not None:
                last = graph.layers[-1]
                following[self._part(tile, last)] = found[last].numpy()[0]
        return following

    def measure(
        self, read: np.ndarray, compare: bool = False
    ) -> tuple[Tensors, Tensors, np.ndarray | None]:
        """Sum over the tiles of a map: Gram matrices, and if ``compare`` distances to the content.

        Returns both by layer, and the map that the next stage reads.
        """
        grams: Tensors = {}
        distances: Tensors = {}
        following = self._empty_following()

        def arguments(tile: Tile) -> tuple:
            targets = self._targets(tile) if compare else {}
            return *self._read(read, tile), targets, self._guides_of(tile)

        sums = self._each("sums" if compare else "sums_of_style", arguments)
        for tile, (of_grams, of_distances, out) in sums:
            for total, part in ((grams, of_grams), (distances, of_distances)):
                for name, value in part.items():
                    total[name] = total[name] + value if name in total else value
            if following is not None:
                following[self._part(tile, self.graph.layers[-1])] = out.numpy()[0]
        return grams, distances, following

    def evaluate(
        self, read: np.ndarray, style_targets: Tensors
    ) -> tuple[tf.Tensor, Tensors, np.ndarray]:
        """Return J_content, J_style of each layer and the slope of J with respect to the map, in
        one pass if the stage has one tile; for the last stage."""
        if len(self.tiles) > 1:
            grams, distances, _ = self.measure(read, compare=True)
            content, style = self.costs(grams, distances, style_targets)
            return content, style, self.pull(read, grams, style_targets, None)
        tile = self.tiles[0]
        x, _ = self._read(read, tile)
        content, style, slope = self.graph.evaluate(
            x, self._targets(tile), self._guides_of(tile), self._of(style_targets), self.masses
        )
        return content, style, slope.numpy()

    def costs(
        self, grams: Tensors, distances: Tensors, style_targets: Tensors
    ) -> tuple[tf.Tensor, Tensors]:
        """Return this stage's part of J_content, and J_style of each layer, from the sums over all
        its tiles."""
        return self.graph.costs(grams, distances, style_targets, self.masses)

    def pull(
        self,
        read: np.ndarray,
        grams: Tensors,
        style_targets: Tensors,
        slope: np.ndarray | None,
    ) -> np.ndarray:
        """Return the slope of J with respect to the map that this stage reads, (H, W, C).

        grams: sums over all tiles. slope: with respect to the map that it hands on.
        """
        graph = self.graph
        number = tf.float32 if graph.reads_picture else graph.slope_type
        total = np.zeros(read.shape, number.as_numpy_dtype)
        gram_slopes = graph.gram_slopes(grams, style_targets, self.masses)

        def arguments(tile: Tile) -> tuple:
            handed = ()
            if slope is not None:
                part = slope[self._part(tile, graph.layers[-1])][np.newaxis]
                handed = (tf.constant(part, graph.slope_type),)
            of_tile = *self._read(read, tile), self._targets(tile), self._guides_of(tile)
            return *of_tile, gram_slopes, self.masses, handed

        for tile, found in self._each("pull", arguments):
            total[tile.rows, tile.columns] += found.numpy()
        return total

    def _each(self, name: str, arguments: Callable[[Tile], tuple]) -> Iterator[tuple[Tile, Any]]:
        """Yield every tile with what the graph's function ``name`` returns for it, in order."""
        found = self.graphs.run(self.graph, name, map(arguments, self.tiles))
        return zip(self.tiles, found)

    def _of(self, style_targets: Tensors) -> Tensors:
        return {name: style_targets[name] for name in self.graph.style}

    def _shape(self, layer: str) -> tuple[int, int, int]:
        """(H, W, C) of a layer's activation."""
        cells = self.graph.grid[layer]
        return *(math.ceil(side / cells) for side in self._size), channels(layer)

    def _part(self, tile: Tile, layer: str) -> tuple[slice, slice]:
        """Rows and columns of a layer's activation that are inside a tile."""
        cells = self.graph.grid[layer]
        top, left, bottom, right = tile.inside
        return slice(top // cells, -(-bottom // cells)), slice(left // cells, -(-right // cells))

    def _read(self, read: np.ndarray, tile: Tile) -> tuple[tf.Tensor, tf.Tensor]:
        number = np.float32 if self.graph.reads_picture else None
        part = np.asarray(read[tile.rows, tile.columns], number)
        return tf.constant(part), tf.constant(tile.box)

    def _targets(self, tile: Tile) -> Tensors:
        if self._content_map is not None:
            found = self.graph.activations(*self._read(self._content_map, tile))
            return {name: found[name] for name in self.graph.content}
        return {
            name: tf.constant(target[:, *self._part(tile, name)])
            for name, target in self._content_targets.items()
        }

    def _guides_of(self, tile: Tile) -> Tensors:
        return {
            name: tf.constant(guide[self._part(tile, name)]) for name, guide in self._guides.items()
        }

    def _empty_following(self) -> np.ndarray | None:
        if not self.graph.hands_on:
            return None
        return np.empty(self._shape(self.graph.layers[-1]), self._dtype.as_numpy_dtype)
