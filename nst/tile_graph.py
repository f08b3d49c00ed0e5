"""What TensorFlow computes on one tile: activations, sums over positions, and slopes.

The graphs do not depend on sizes: each is traced once, for tiles and pictures of every size.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import tensorflow as tf

from nst import costs
from nst.networks import channels
from nst.settings import Settings
from nst.tiling import grid
from nst.vgg import VGG

Tensors = dict[str, tf.Tensor]  # by layer
MOST_STYLES = 64  # that are remembered, of some 2 MB each


class Masses(NamedTuple):
    """What sums over a picture are divided by.

    positions: {layer: H W}. regions: {style layer: sum of the guide of each region, (R,)}.
    """

    positions: Tensors
    regions: Tensors


class Graphs:
    """The graphs of one network and one set of settings, made when they are first asked for."""

    def __init__(self, vgg: VGG, settings: Settings) -> None:
        self.vgg = vgg
        self.settings = settings
        self._made: dict[tuple, TileGraph] = {}
        self._styles: dict[tuple, Tensors] = {}

    def of(self, layers: Sequence[str], weights: tuple[float, ...], guided: bool) -> "TileGraph":
        """Return the graph of consecutive layers; see TileGraph."""
        key = tuple(layers), weights, guided
        if key not in self._made:
            self._made[key] = TileGraph(self.vgg, self.settings, *key)
        return self._made[key]

    def run(
        self, graph: "TileGraph", name: str, arguments: Iterable[tuple]
    ) -> Iterator[tuple | Tensors | tf.Tensor]:
        """Yield what a function of a graph returns for the arguments of each tile, in order."""
        call = getattr(graph, name)
        return (call(*of_tile) for of_tile in arguments)

    def style(self, key: tuple, measure: Callable[[], Tensors]) -> Tensors:
        """Return the Gram matrices of a style, measured once for pictures in the same style."""
        if key not in self._styles:
            if len(self._styles) >= MOST_STYLES:
                del self._styles[next(iter(self._styles))]  # the oldest
            self._styles[key] = measure()
        return self._styles[key]


class TileGraph:
    """Consecutive layers of the network, applied to one tile.

    A tile is a tensor (h, w, C) with its box: (top, left, bottom, right) of its inside, in cells.
    Gram matrices are (R, C, C), one for each region, and guides (h, w, R) for each style layer, of
    the inside; {} if the graph is not guided, where R = 1 and every position counts 1.
    """

    def __init__(
        self,
        vgg: VGG,
        settings: Settings,
        layers: tuple[str, ...],
        weights: tuple[float, ...],
        guided: bool,
    ) -> None:
        """Prepare the graphs; nothing is traced yet.

        weights: of the R regions, 1 each where they count the same.
        """
        self.vgg = vgg
        self.settings = settings
        self.layers = layers
        self.content = {n: w for n, w in settings.used_content_layers if n in layers}
        self.style = {n: w for n, w in settings.used_style_layers if n in layers}
        self.hands_on = layers[-1] != vgg.layers[-1]
        self.reads_picture = layers[0] == vgg.layers[0]
        self.grid = {name: grid(layers[: i + 1]) for i, name in enumerate(layers)}
        self.weights = weights
        self.guided = guided
        # float16 has too small a range for slopes of activations.
        self.slope_type = tf.float32 if vgg.dtype == tf.float16 else vgg.dtype

        depth = 3 if self.reads_picture else channels(vgg.layers[vgg.layers.index(layers[0]) - 1])
        number = tf.float32 if self.reads_picture else vgg.dtype
        tile = tf.TensorSpec((None, None, depth), number), tf.TensorSpec((4,), tf.int32)
        targets = {
            name: tf.TensorSpec((1, None, None, channels(name)), vgg.dtype) for name in self.content
        }
        count = len(weights)
        guides = {name: tf.TensorSpec((None, None, count)) for name in self.style if guided}
        grams = {name: tf.TensorSpec((count, *[channels(name)] * 2)) for name in self.style}
        masses = Masses(
            {name: tf.TensorSpec(()) for name in self.content | self.style},
            {name: tf.TensorSpec((count,)) for name in self.style},
        )
        handed = tf.TensorSpec((1, None, None, channels(layers[-1])), self.slope_type)
        handed = (handed,) * self.hands_on
        self.activations = tf.function(self._activations, tile)
        self.sums_of_style = tf.function(self._sums, (*tile, {}, guides))
        self.sums = tf.function(self._sums, (*tile, targets, guides))
        self.pull = tf.function(self._pull, (*tile, targets, guides, grams, masses, handed))
        self.evaluate = tf.function(self._evaluate, (tile[0], targets, guides, grams, masses))

    def costs(
        self, grams: Tensors, distances: Tensors, style_targets: Tensors, masses: Masses
    ) -> tuple[tf.Tensor, Tensors]:
        """Return these layers' part of J_content, and J_style of each, weighted, from the sums over
        a picture.

        Each region counts by its share of the picture, so that a region is painted as strongly as
        the same region of a picture that is painted as a whole.
        """
        content, style = tf.zeros(()), {}
        for name, weight in self.content.items():
            content += weight * distances[name] / (4.0 * masses.positions[name] * channels(name))
        for name, weight in self.style.items():
            style[name] = tf.zeros(())
            for region, of_region in enumerate(self.weights):
                mass = masses.regions[name][region]
                cost = costs.style_layer_cost(
                    style_targets[name][region], grams[name][region] / mass
                )
                style[name] += weight * of_region * mass / masses.positions[name] * cost
        return content, style

    def gram_slopes(self, grams: Tensors, style_targets: Tensors, masses: Masses) -> Tensors:
        """Slopes of J with respect to the Gram matrices of a whole picture, (R, C, C)."""
        slopes = {}
        for name, weight in self.style.items():
            of_regions = []
            for region, of_region in enumerate(self.weights):
                mass = masses.regions[name][region]
                slope = costs.gram_slope(
                    style_targets[name][region],
                    grams[name][region] / mass,
                    masses.positions[name],  # the region's mass over its share
                )
                of_regions.append(self.settings.beta * weight * of_region * slope)
            slopes[name] = tf.stack(of_regions)
        return slopes

    # What follows is traced.

    def _inside(self, activation: tf.Tensor, layer: str, box: tf.Tensor) -> tf.Tensor:
        """Cut the halo off an activation. box: inside of the tile in cells that were read."""
        cells = self.grid[layer]
        top, left = box[0] // cells, box[1] // cells
        bottom, right = -(-box[2] // cells), -(-box[3] // cells)
        return activation[:, top:bottom, left:right]

    def _activations(self, x: tf.Tensor, box: tf.Tensor) -> Tensors:
        """Of the content layers, and of the last layer if it is handed on."""
        activations = self.vgg.run(x, self.layers)
        wanted = (*self.content, *self.layers[-1:]) if self.hands_on else self.content
        return {name: self._inside(activations[name], name, box) for name in wanted}

    def _sums(
        self, x: tf.Tensor, box: tf.Tensor, targets: Tensors, guides: Tensors
    ) -> tuple[Tensors, Tensors, tf.Tensor]:
        """Gram matrices, distances to ``targets``, and the last activation."""
        activations = self.vgg.run(x, self.layers)
        inside = {name: self._inside(a, name, box) for name, a in activations.items()}
        return *self._grams_and_distances(inside, targets, guides), inside[self.layers[-1]]

    def _grams_and_distances(
        self, inside: Tensors, targets: Tensors, guides: Tensors
    ) -> tuple[Tensors, Tensors]:
        grams = {
            name: tf.stack(
                [costs.gram_matrix(inside[name], guide) for guide in self._split(guides, name)]
            )
            for name in self.style
        }
        distances = {
            name: costs.squared_distance(target, inside[name]) for name, target in targets.items()
        }
        return grams, distances

    def _split(self, guides: Tensors, layer: str) -> list[tf.Tensor | None]:
        """The guide of each region, (h, w, 1)."""
        return tf.split(guides[layer], len(self.weights), axis=2) if guides else [None]

    def _pull(
        self,
        x: tf.Tensor,
        box: tf.Tensor,
        targets: Tensors,
        guides: Tensors,
        gram_slopes: Tensors,
        masses: Masses,
        handed: tuple[tf.Tensor, ...],
    ) -> tf.Tensor:
        """Slope of J with respect to the tile, from the slopes by Gram matrices and by what it
        hands on."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            activations = self.vgg.run(x, self.layers)
        inside = {name: self._inside(a, name, box) for name, a in activations.items()}
        slopes = self._slopes(inside, targets, guides, gram_slopes, masses)
        for slope in handed:  # one, or none in the last stage
            last = self.layers[-1]
            slopes[last] = slopes[last] + slope if last in slopes else slope
        for name, slope in slopes.items():
            cells, full = self.grid[name], tf.shape(activations[name])
            top, left = box[0] // cells, box[1] // cells
            around = [
                [0, 0],
                [top, full[1] - top - tf.shape(slope)[1]],
                [left, full[2] - left - tf.shape(slope)[2]],
                [0, 0],
            ]
            slopes[name] = tf.pad(slope, around)
        return self._pull_back(tape, x, activations, slopes)

    def _evaluate(
        self,
        x: tf.Tensor,
        targets: Tensors,
        guides: Tensors,
        style_targets: Tensors,
        masses: Masses,
    ) -> tuple[tf.Tensor, Tensors, tf.Tensor]:
        """J_content, J_style of each layer and the slope of J, where the only tile is the whole
        map."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            activations = self.vgg.run(x, self.layers)
        grams, distances = self._grams_and_distances(activations, targets, guides)
        gram_slopes = self.gram_slopes(grams, style_targets, masses)
        slopes = self._slopes(activations, targets, guides, gram_slopes, masses)
        gradient = self._pull_back(tape, x, activations, slopes)
        return *self.costs(grams, distances, style_targets, masses), gradient

    def _slopes(
        self,
        inside: Tensors,
        targets: Tensors,
        guides: Tensors,
        gram_slopes: Tensors,
        masses: Masses,
    ) -> Tensors:
        """Slopes of J with respect to the activations that it is made of directly."""
        slopes = {}
        for name, of_regions in gram_slopes.items():
            parts = [
                costs.style_slope(inside[name], of_regions[region], guide)
                for region, guide in enumerate(self._split(guides, name))
            ]
            slopes[name] = tf.add_n(parts)
        for name, target in targets.items():
            size = 4.0 * masses.positions[name] * channels(name)
            factor = self.settings.alpha * self.content[name] / size
            slope = tf.cast(costs.content_slope(target, inside[name], factor), self.slope_type)
            slopes[name] = slopes[name] + slope if name in slopes else slope
        return slopes

    def _pull_back(
        self, tape: tf.GradientTape, x: tf.Tensor, activations: Tensors, slopes: Tensors
    ) -> tf.Tensor:
        """Slope with respect to ``x`` from the slopes with respect to activations."""
        scale = None
        if self.vgg.dtype == tf.float16:
            # A common power of two brings the largest slope to the middle of float16's range.
            largest = tf.reduce_max([tf.reduce_max(tf.abs(slope)) for slope in slopes.values()])
            exponent = tf.math.log(16.0 / tf.maximum(largest, 1e-30)) / math.log(2.0)
            scale = tf.pow(2.0, tf.round(exponent))
            slopes = {name: tf.cast(slope * scale, tf.float16) for name, slope in slopes.items()}
        gradient = tape.gradient(
            [activations[name] for name in slopes], x, output_gradients=list(slopes.values())
        )
        return gradient if scale is None else tf.cast(gradient, tf.float32) / scale
