"""The total cost of a picture and its gradient, exact at any size: whole, or by tiles.

J(G) = alpha J_content(C, G) + beta J_style(S, G) + tv_weight J_tv(G) ([1] equation 7).

The network is cut into stages, each evaluated by tiles of its own size; one stage with one tile is
the whole picture. A first pass sums Gram matrices and content differences over the tiles, and
keeps the map that the next stage reads. Then the slopes of the cost are known, and a second pass,
from the last stage back to the picture, sums the gradients of the tiles. Nothing is approximated:
the tiles' halos (``nst.tiling``) make their insides the activations of the whole picture.

[1] Gatys, Ecker and Bethge, A Neural Algorithm of Artistic Style, 2015 (arXiv:1508.06576).
"""

import math

import numpy as np
import tensorflow as tf

from nst import costs
from nst.networks import channels
from nst.settings import Settings
from nst.step import Costs
from nst.tiling import WHOLE, Plan, StagePlan, Tile, grid
from nst.vgg import VGG


class Objective:
    """The total cost of a picture of one size, and its gradient with respect to its pixels."""

    def __init__(
        self,
        vgg: VGG,
        content: np.ndarray,
        style: np.ndarray,
        settings: Settings,
        plan: Plan = WHOLE,
    ) -> None:
        """Measure the targets: activations of the content, Gram matrices of the style.

        content, style: (H, W, 3), sRGB, 0..255; their sizes may differ.
        """
        self.settings = settings
        self.style_targets: dict[str, tf.Tensor] = {}
        read = style
        stages = plan.stages(vgg.layers)
        for stage in (_Stage(vgg, settings, cut, style.shape[:2]) for cut in stages):
            grams, _, read = stage.measure(read)
            for layer, gram in grams.items():
                self.style_targets[layer] = gram / stage.positions(layer)
        self._stages = [_Stage(vgg, settings, cut, content.shape[:2]) for cut in stages]
        read = content
        for stage in self._stages:
            read = stage.set_content(read, plan.keep_content)

    def __call__(self, image: np.ndarray) -> tuple[Costs, np.ndarray]:
        """Return the costs of an image (H, W, 3) float32, 0..255, and dJ/dimage, (H, W, 3)."""
        maps, sums = [image], []
        *before, last = self._stages
        for stage in before:
            grams, distances, following = stage.measure(maps[-1], compare=True)
            sums.append((grams, distances))
            maps.append(following)
        content, style, slope = last.evaluate(maps.pop(), self.style_targets)
        for stage, (grams, distances) in zip(reversed(before), reversed(sums)):
            parts = stage.costs(grams, distances, self.style_targets)
            content, style = content + float(parts[0]), style + float(parts[1])
            slope = stage.pull(maps.pop(), grams, self.style_targets, slope)
        tv = costs.total_variation(image, self.settings.tv_weight, slope)
        total = (
            self.settings.alpha * content
            + self.settings.beta * style
            + self.settings.tv_weight * tv
        )
        return Costs(total, content, style, tv), slope


class _Stage:
    """Consecutive layers of the network for a picture of one size, evaluated by tiles.

    What it reads is a map (H, W, C): the picture, or the activation that the stage before ends
    with. Maps are NumPy arrays; what is computed for one tile is a tensor (1, h, w, C).
    """

    def __init__(self, vgg: VGG, settings: Settings, cut: StagePlan, size: tuple[int, int]) -> None:
        """Prepare a stage for pictures of ``size``, (height, width) in pixels."""
        self.vgg = vgg
        self.settings = settings
        self.layers = cut.layers
        self.content = {name: w for name, w in settings.content_layers if name in cut.layers}
        self.style = {name: w for name, w in settings.style_layers if name in cut.layers}
        self.hands_on = cut.layers[-1] != vgg.layers[-1]
        self.tiles = cut.tiles(size)
        self._size = cut.map_size(size)
        self._reads_picture = cut.layers[0] == vgg.layers[0]
        self._grid = {name: grid(self.layers[: i + 1]) for i, name in enumerate(self.layers)}
        self._content_map: np.ndarray | None = None
        self._content_targets: dict[str, np.ndarray] = {}
        # Each graph is traced once, for tiles of every size.
        before = vgg.layers.index(self.layers[0]) - 1
        depth = 3 if self._reads_picture else channels(vgg.layers[before])
        number = tf.float32 if self._reads_picture else vgg.dtype
        tile = tf.TensorSpec((None, None, depth), number), tf.TensorSpec((4,), tf.int32)
        targets = {
            name: tf.TensorSpec((1, None, None, channels(name)), vgg.dtype) for name in self.content
        }
        grams = {name: tf.TensorSpec((channels(name),) * 2) for name in self.style}
        handed = tf.TensorSpec((1, None, None, channels(self.layers[-1])), self._slope_type)
        self._activations_of_tile = tf.function(self._inside_activations, tile)
        self._sum_grams = tf.function(self._sums, (*tile, {}))
        self._sum_all = tf.function(self._sums, (*tile, targets))
        pulled = (*tile, targets, grams, (handed,) * self.hands_on)
        self._pull_tile = tf.function(self._gradient, pulled)
        self._evaluate_tile = tf.function(self._costs_and_gradient)

    def positions(self, layer: str) -> int:
        """Return H W of a layer's activation."""
        height, width, _ = self._shape(layer)
        return height * width

    def set_content(self, content: np.ndarray | None, keep: bool) -> np.ndarray | None:
        """Take the map of the content picture; return the one that the next stage reads.

        keep: keep the activations of the content layers of a stage that reads the picture, rather
        than the picture, from which they are computed again for every tile. Other stages keep
        them: they take no more memory than the map.
        """
        if content is None or not (self.content or self.hands_on):
            return None
        if self.content and not keep and self._reads_picture:
            self._content_map = content
        else:
            self._content_targets = {
                name: np.empty((1, *self._shape(name)), self.vgg.dtype.as_numpy_dtype)
                for name in self.content
            }
        following = self._empty_following()
        for tile in self.tiles:
            found = self._activations_of_tile(*self._read(content, tile))
            for name, target in self._content_targets.items():
                target[:, *self._part(tile, name)] = found[name].numpy()
            if following is not None:
                following[self._part(tile, self.layers[-1])] = found[self.layers[-1]].numpy()[0]
        return following

    def measure(
        self, read: np.ndarray, compare: bool = False
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor], np.ndarray | None]:
        """Sum over the tiles of a map: Gram matrices, and if ``compare`` distances to the content.

        Returns both by layer, and the map that the next stage reads.
        """
        grams: dict[str, tf.Tensor] = {}
        distances: dict[str, tf.Tensor] = {}
        following = self._empty_following()
        for tile in self.tiles:
            targets = self._targets(tile) if compare else {}
            x, box = self._read(read, tile)
            sums = self._sum_all if compare else self._sum_grams
            of_grams, of_distances, out = sums(x, box, targets)
            for total, part in ((grams, of_grams), (distances, of_distances)):
                for name, value in part.items():
                    total[name] = total[name] + value if name in total else value
            if following is not None:
                following[self._part(tile, self.layers[-1])] = out.numpy()[0]
        return grams, distances, following

    def evaluate(
        self, read: np.ndarray, style_targets: dict[str, tf.Tensor]
    ) -> tuple[float, float, np.ndarray]:
        """Return J_content, J_style and the slope of J with respect to the map, in one pass if
        the stage has one tile; for the last stage."""
        if len(self.tiles) > 1:
            grams, distances, _ = self.measure(read, compare=True)
            content, style = self.costs(grams, distances, style_targets)
            slope = self.pull(read, grams, style_targets, None)
        else:
            x, _ = self._read(read, self.tiles[0])
            targets = self._targets(self.tiles[0])
            content, style, slope = self._evaluate_tile(x, targets, style_targets)
            slope = slope.numpy()
        return float(content), float(style), slope

    def costs(
        self,
        grams: dict[str, tf.Tensor],
        distances: dict[str, tf.Tensor],
        style_targets: dict[str, tf.Tensor],
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return this stage's part of J_content and J_style from the sums over all its tiles."""
        content = style = tf.zeros(())
        for name, weight in self.content.items():
            content += weight * distances[name] / (4.0 * math.prod(self._shape(name)))
        for name, weight in self.style.items():
            gram = grams[name] / self.positions(name)
            style += weight * costs.style_layer_cost(style_targets[name], gram)
        return content, style

    def pull(
        self,
        read: np.ndarray,
        grams: dict[str, tf.Tensor],
        style_targets: dict[str, tf.Tensor],
        slope: np.ndarray | None,
    ) -> np.ndarray:
        """Return the slope of J with respect to the map that this stage reads, (H, W, C).

        grams: sums over all tiles. slope: with respect to the map that it hands on.
        """
        number = tf.float32 if self._reads_picture else self._slope_type
        total = np.zeros(read.shape, number.as_numpy_dtype)
        gram_slopes = self._gram_slopes(grams, style_targets)
        for tile in self.tiles:
            handed = ()
            if slope is not None:
                part = slope[self._part(tile, self.layers[-1])][np.newaxis]
                handed = (tf.constant(part, self._slope_type),)
            found = self._pull_tile(
                *self._read(read, tile), self._targets(tile), gram_slopes, handed
            )
            total[tile.rows, tile.columns] += found.numpy()
        return total

    # What follows is traced by TensorFlow: the computations on one tile.

    def _inside(self, activation: tf.Tensor, layer: str, box: tf.Tensor) -> tf.Tensor:
        """Cut the halo off an activation. box: inside of the tile in cells that were read."""
        cells = self._grid[layer]
        top, left = box[0] // cells, box[1] // cells
        bottom, right = -(-box[2] // cells), -(-box[3] // cells)
        return activation[:, top:bottom, left:right]

    def _inside_activations(self, x: tf.Tensor, box: tf.Tensor) -> dict[str, tf.Tensor]:
        activations = self.vgg.run(x, self.layers)
        wanted = (*self.content, *self.layers[-1:]) if self.hands_on else self.content
        return {name: self._inside(activations[name], name, box) for name in wanted}

    def _sums(
        self, x: tf.Tensor, box: tf.Tensor, targets: dict[str, tf.Tensor]
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor], tf.Tensor]:
        activations = self.vgg.run(x, self.layers)
        inside = {name: self._inside(a, name, box) for name, a in activations.items()}
        return *self._grams_and_distances(inside, targets), inside[self.layers[-1]]

    def _grams_and_distances(
        self, inside: dict[str, tf.Tensor], targets: dict[str, tf.Tensor]
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        grams = {name: costs.gram_matrix(inside[name]) for name in self.style}
        distances = {
            name: costs.squared_distance(target, inside[name]) for name, target in targets.items()
        }
        return grams, distances

    def _gradient(
        self,
        x: tf.Tensor,
        box: tf.Tensor,
        targets: dict[str, tf.Tensor],
        gram_slopes: dict[str, tf.Tensor],
        handed: tuple[tf.Tensor, ...],
    ) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            activations = self.vgg.run(x, self.layers)
        inside = {name: self._inside(a, name, box) for name, a in activations.items()}
        slopes = self._slopes(inside, targets, gram_slopes)
        for slope in handed:  # one, or none in the last stage
            last = self.layers[-1]
            slopes[last] = slopes[last] + slope if last in slopes else slope
        for name, slope in slopes.items():
            cells, full = self._grid[name], tf.shape(activations[name])
            top, left = box[0] // cells, box[1] // cells
            around = [
                [0, 0],
                [top, full[1] - top - tf.shape(slope)[1]],
                [left, full[2] - left - tf.shape(slope)[2]],
                [0, 0],
            ]
            slopes[name] = tf.pad(slope, around)
        return self._pull_back(tape, x, activations, slopes)

    def _costs_and_gradient(
        self, x: tf.Tensor, targets: dict[str, tf.Tensor], style_targets: dict[str, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Everything at once, where the only tile is the whole map."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            activations = self.vgg.run(x, self.layers)
        grams, distances = self._grams_and_distances(activations, targets)
        gram_slopes = self._gram_slopes(grams, style_targets)
        slopes = self._slopes(activations, targets, gram_slopes)
        gradient = self._pull_back(tape, x, activations, slopes)
        return *self.costs(grams, distances, style_targets), gradient

    def _gram_slopes(
        self, grams: dict[str, tf.Tensor], style_targets: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Slopes of J with respect to the Gram matrices of the whole picture."""
        slopes = {}
        for name, weight in self.style.items():
            positions = self.positions(name)
            slope = costs.gram_slope(style_targets[name], grams[name] / positions, positions)
            slopes[name] = self.settings.beta * weight * slope
        return slopes

    @property
    def _slope_type(self) -> tf.DType:
        """Type of slopes of activations: float16 has too small a range for them."""
        return tf.float32 if self.vgg.dtype == tf.float16 else self.vgg.dtype

    def _slopes(
        self,
        inside: dict[str, tf.Tensor],
        targets: dict[str, tf.Tensor],
        gram_slopes: dict[str, tf.Tensor],
    ) -> dict[str, tf.Tensor]:
        """Slopes of J with respect to the activations that it is made of directly."""
        slopes = {
            name: costs.style_slope(inside[name], slope) for name, slope in gram_slopes.items()
        }
        for name, target in targets.items():
            factor = self.settings.alpha * self.content[name] / (4 * math.prod(self._shape(name)))
            slope = costs.content_slope(target, inside[name], factor)
            slope = tf.cast(slope, self._slope_type)
            slopes[name] = slopes[name] + slope if name in slopes else slope
        return slopes

    def _pull_back(
        self,
        tape: tf.GradientTape,
        x: tf.Tensor,
        activations: dict[str, tf.Tensor],
        slopes: dict[str, tf.Tensor],
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

    # Sizes, and what is read of maps.

    def _shape(self, layer: str) -> tuple[int, int, int]:
        """(H, W, C) of a layer's activation."""
        return *(math.ceil(side / self._grid[layer]) for side in self._size), channels(layer)

    def _part(self, tile: Tile, layer: str) -> tuple[slice, slice]:
        """Rows and columns of a layer's activation that are inside a tile."""
        cells = self._grid[layer]
        top, left, bottom, right = tile.inside
        return slice(top // cells, -(-bottom // cells)), slice(left // cells, -(-right // cells))

    def _read(self, read: np.ndarray, tile: Tile) -> tuple[tf.Tensor, tf.Tensor]:
        number = np.float32 if self._reads_picture else None
        part = np.asarray(read[tile.rows, tile.columns], number)
        return tf.constant(part), tf.constant(tile.box)

    def _targets(self, tile: Tile) -> dict[str, tf.Tensor]:
        if self._content_map is not None:
            read = self._read(self._content_map, tile)
            found = self._activations_of_tile(*read)
            return {name: found[name] for name in self.content}
        return {
            name: tf.constant(target[:, *self._part(tile, name)])
            for name, target in self._content_targets.items()
        }

    def _empty_following(self) -> np.ndarray | None:
        if not self.hands_on:
            return None
        return np.empty(self._shape(self.layers[-1]), self.vgg.dtype.as_numpy_dtype)
