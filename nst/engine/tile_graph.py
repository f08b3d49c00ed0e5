"""What TensorFlow computes on one tile: activations, sums over positions, and gradients.

The graphs do not depend on sizes: each is traced once, for tiles and pictures of every size.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, cast

import tensorflow as tf

from nst.engine.cost_protocols import MeanCost, PositionCost, Sums, Term, TotalCost
from nst.engine.tiling import grid
from nst.vgg.layers import channels

ByLayer = dict[str, tf.Tensor]
ByTerm = dict[str, Any]  # a tensor, or a structure of them, by Term.key


class Network(Protocol):
    """A VGG network as a graph (``nst_utils.VGG``)."""

    layers: list[str]
    dtype: tf.DType

    def run(self, x: tf.Tensor, layers: Sequence[str]) -> ByLayer:
        """Activations (1, h, w, C) of consecutive layers, from an image or activation (h, w, C)."""

    def backpropagate(
        self, x: tf.Tensor, layers: Sequence[str], activations: ByLayer, gradients: ByLayer
    ) -> tf.Tensor:
        """Gradient with respect to ``x`` from those with respect to activations of ``run``."""


class Counts(NamedTuple):
    """What sums over a picture are divided by, for each layer with a term.

    positions: of each term, h w of what it sees, a float32 scalar. regions: the sum of the guide of
    each region, (R,), for layers whose mean is taken by regions.
    """

    positions: ByTerm
    regions: ByLayer


class TileGraph:
    """Consecutive layers of the network, applied to one tile.

    A tile is a tensor (h, w, C) and two boxes, (top, left, bottom, right) in cells: of the part
    inside, and of the part of this that is measured, without the border. Terms that compare
    positions have one mean; where parts of the picture are hidden each has a guide (h, w, 1), by
    the key of the term. The others have a mean for each of R regions, stacked along a first axis,
    and guides (h, w, R) for each layer, of the part measured. Guides are {} where the graph has
    none: then R = 1 and every position counts 1.
    """

    def __init__(
        self,
        network: Network,
        total_cost: TotalCost,
        layers: tuple[str, ...],
        region_weights: tuple[float, ...],
        guided: bool,
        last_pass: bool,
        position_guides: bool,
    ) -> None:
        """Prepare the graphs; nothing is traced yet.

        region_weights: (R,), 1 each where all regions count the same. guided: whether there are
        guides of regions. position_guides: whether there are guides of terms that compare
        positions.
        """
        self.key = layers, region_weights, guided, last_pass, position_guides
        self.network = network
        self.layers = layers
        self.region_weights = region_weights
        self.guided = guided
        self.position_guides = position_guides
        self.last_pass = last_pass
        terms = total_cost.last_terms if last_pass else total_cost.terms
        self.terms = [term for term in terms if term.layer in layers]
        self.position_terms = [term for term in self.terms if term.cost.compares_positions]
        self.mean_terms = [term for term in self.terms if not term.cost.compares_positions]
        self.is_last = layers[-1] == network.layers[-1]
        self.reads_picture = layers[0] == network.layers[0]
        self.grid = {name: grid(layers[: i + 1]) for i, name in enumerate(layers)}
        # float16 has too small a range for gradients of activations.
        self.gradient_dtype = tf.float32 if network.dtype == tf.float16 else network.dtype
        self._specify()

    def _specify(self) -> None:
        """Give each function the signature of its arguments, of any height and width."""
        first = self.network.layers.index(self.layers[0])
        depth = 3 if self.reads_picture else channels(self.network.layers[first - 1])
        dtype = tf.float32 if self.reads_picture else self.network.dtype
        x = tf.TensorSpec((None, None, depth), dtype)
        tile = x, *(tf.TensorSpec((4,), tf.int32),) * 2
        targets = {
            term.key: position_cost(term).target_spec(self.network.dtype)
            for term in self.position_terms
        }
        regions = len(self.region_weights)
        style_layers = {term.layer for term in self.mean_terms}
        guides = {}
        if self.guided:
            guides = {layer: tf.TensorSpec((None, None, regions)) for layer in style_layers}
        if self.position_guides:
            guides |= {term.key: tf.TensorSpec((None, None, 1)) for term in self.position_terms}
        style_targets = {term.key: self._spec(term, regions, True) for term in self.mean_terms}
        dsums = {term.key: self._spec(term, regions) for term in self.mean_terms}
        dsums |= {term.key: self._spec(term) for term in self.position_terms}
        counts = Counts(
            {term.key: tf.TensorSpec(()) for term in self.terms},
            {layer: tf.TensorSpec((regions,)) for layer in style_layers},
        )
        upstream = {}
        if not self.is_last:
            last = self.layers[-1]
            spec = tf.TensorSpec((1, None, None, channels(last)), self.gradient_dtype)
            upstream = {last: spec}
        # Without autograph, which leaves files in the temporary folder.
        self.activations = tf.function(self._activations, tile, autograph=False)
        self.style_sums = tf.function(self._sums, (*tile, {}, guides), autograph=False)
        self.sums = tf.function(self._sums, (*tile, targets, guides), autograph=False)
        self.backward = tf.function(
            self._backward, (*tile, targets, guides, dsums, upstream), autograph=False
        )
        self.evaluate = tf.function(
            self.evaluate_inside,
            (tile[0], tile[2], targets, guides, style_targets, counts),
            autograph=False,
        )

    def _spec(self, term: Term, regions: int | None = None, of_target: bool = False) -> Any:
        """Shapes and dtypes of the sums of a term, or of its target; of each region if given."""
        position = tf.zeros((1, 1, 1, channels(term.layer)))  # one, to learn the shapes
        target = None
        if term.cost.compares_positions:
            target = tf.nest.map_structure(
                lambda spec: tf.zeros([side or 1 for side in spec.shape], spec.dtype),
                position_cost(term).target_spec(tf.float32),
            )
        sums = term.cost.sums(position, target, None)
        structure = mean_cost(term).target(sums) if of_target else sums
        shape = () if regions is None else (regions,)
        return tf.nest.map_structure(lambda t: tf.TensorSpec(shape + t.shape, t.dtype), structure)

    def style_targets(self, means: ByTerm) -> ByTerm:
        """Targets of the terms, of each region, from the means of the styles, (R, ...)."""
        regions = range(len(self.region_weights))
        return {
            term.key: _stacked(
                [mean_cost(term).target(_region(means[term.key], region)) for region in regions]
            )
            for term in self.mean_terms
        }

    def judge(self, sums: ByTerm, style_targets: ByTerm, counts: Counts) -> tuple[ByTerm, ByTerm]:
        """Values of the terms, and derivative of J, from the sums over a picture.

        Values are share times cost, float32 scalars. The derivative is with respect to the sums.
        Each region counts by its share of the picture, so that a region is painted as strongly as
        the same region of a picture that is painted as a whole.
        """
        values, dsums = {}, {}
        for term in self.position_terms:
            positions = counts.positions[term.key]
            mean = divided(sums[term.key], positions)
            values[term.key] = term.share * term.cost.value(mean, None)
            dsums[term.key] = term.cost.dvalue(mean, None, term.factor * term.share, positions)
        for term in self.mean_terms:
            cost, positions = mean_cost(term), counts.positions[term.key]
            total, regions = tf.zeros(()), []
            for region, weight in enumerate(self.region_weights):
                size = counts.regions[term.layer][region]
                mean = divided(_region(sums[term.key], region), size)
                # A region counts size / positions in J, and d mean / d sums is 1 / size.
                value, dsum = cost.value_and_dvalue(
                    mean,
                    _region(style_targets[term.key], region),
                    term.factor * term.share * weight,
                    positions,
                )
                total += term.share * weight * size / positions * value
                regions.append(dsum)
            values[term.key], dsums[term.key] = total, _stacked(regions)
        return values, dsums

    # What follows is traced.

    def _inside(self, activation: tf.Tensor, layer: str, box: tf.Tensor) -> tf.Tensor:
        """Cut an activation to a box, in cells of the map that the stage reads."""
        corner, end = self._corners(layer, box)
        size = tf.pad(end - corner, [[1, 1]], constant_values=-1)  # -1: all
        inside = tf.slice(activation, tf.pad(corner, [[1, 1]]), size)
        inside.set_shape((1, None, None, activation.shape[-1]))
        return inside

    def _corners(self, layer: str, box: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """(top, left) and (bottom, right) of a box in cells of a layer's activation."""
        cells = self.grid[layer]
        corner, end = tf.split((box + (0, 0, cells - 1, cells - 1)) // cells, 2)
        return corner, end

    def _measured(self, activations: ByLayer, box: tf.Tensor) -> ByLayer:
        """The measured part of the activations of the layers that have terms."""
        layers = dict.fromkeys(term.layer for term in self.terms)
        return {name: self._inside(activations[name], name, box) for name in layers}

    def _activations(
        self, x: tf.Tensor, box: tf.Tensor, measured: tf.Tensor
    ) -> tuple[ByTerm, tf.Tensor]:
        """What position terms keep of the activations, and the last one, (1, h, w, C) each."""
        activations = self.network.run(x, self.layers)
        parts = self._measured(activations, measured)
        last = self.layers[-1]
        targets = {
            term.key: position_cost(term).kept(parts[term.layer]) for term in self.position_terms
        }
        return targets, self._inside(activations[last], last, box)

    def _sums(
        self, x: tf.Tensor, box: tf.Tensor, measured: tf.Tensor, targets: ByTerm, guides: ByLayer
    ) -> tuple[ByTerm, tf.Tensor]:
        """Sums of the terms over a tile, and the last activation, (1, h, w, C).

        targets: {} leaves out the terms that compare positions.
        """
        activations = self.network.run(x, self.layers)
        last = self.layers[-1]
        sums = self._term_sums(self._measured(activations, measured), targets, guides)
        return sums, self._inside(activations[last], last, box)

    def _term_sums(self, parts: ByLayer, targets: ByTerm, guides: ByLayer) -> ByTerm:
        sums = {}
        for term in self.mean_terms:
            regions = self._regions(guides, term.layer)
            sums[term.key] = _stacked(
                [term.cost.sums(parts[term.layer], None, guide) for guide in regions]
            )
        for term in self.position_terms:
            if term.key in targets:
                sums[term.key] = term.cost.sums(
                    parts[term.layer], targets[term.key], guides.get(term.key)
                )
        return sums

    def _regions(self, guides: ByLayer, layer: str) -> list[tf.Tensor | None]:
        """The guide of each region, (h, w, 1)."""
        if not self.guided:
            return [None]
        return tf.split(guides[layer], len(self.region_weights), axis=2)

    def _backward(
        self,
        x: tf.Tensor,
        box: tf.Tensor,
        measured: tf.Tensor,
        targets: ByTerm,
        guides: ByLayer,
        dsums: ByTerm,
        upstream: ByLayer,
    ) -> tf.Tensor:
        """Gradient of J with respect to a tile, (h, w, C).

        dsums: derivative of J with respect to the sums over the picture. upstream: gradient with
        respect to the last activation, from the stages that follow.
        """
        activations = self.network.run(x, self.layers)
        gradients = self._gradients(activations, measured, targets, guides, dsums)
        for name, gradient in upstream.items():
            gradient = self._pad_gradient(gradient, activations[name], name, box)
            gradients[name] = gradients[name] + gradient if name in gradients else gradient
        return self._backpropagate(x, activations, gradients)

    def _gradients(
        self,
        activations: ByLayer,
        measured: tf.Tensor,
        targets: ByTerm,
        guides: ByLayer,
        dsums: ByTerm,
    ) -> ByLayer:
        """Gradients of the terms with respect to activations; 0 where nothing is measured."""
        parts = self._measured(activations, measured)
        gradients = self._term_gradients(parts, targets, guides, dsums)
        return {
            name: self._pad_gradient(gradient, activations[name], name, measured)
            for name, gradient in gradients.items()
        }

    def _pad_gradient(
        self, gradient: tf.Tensor, activation: tf.Tensor, layer: str, box: tf.Tensor
    ) -> tf.Tensor:
        """The gradient of the part of an activation in a box, padded with zeros to the whole."""
        before = tf.pad(self._corners(layer, box)[0], [[1, 1]])  # of each axis
        after = tf.shape(activation) - before - tf.shape(gradient)
        return tf.pad(gradient, tf.stack([before, after], axis=1))

    def evaluate_inside(
        self,
        x: tf.Tensor,
        measured: tf.Tensor,
        targets: ByTerm,
        guides: ByLayer,
        style_targets: ByTerm,
        counts: Counts,
    ) -> tuple[ByTerm, tf.Tensor]:
        """Values of the terms and gradient of J, where the only tile is the whole map.

        Inside another graph; ``evaluate`` is a graph of its own.
        """
        activations = self.network.run(x, self.layers)
        sums = self._term_sums(self._measured(activations, measured), targets, guides)
        values, dsums = self.judge(sums, style_targets, counts)
        gradients = self._gradients(activations, measured, targets, guides, dsums)
        gradient = self._backpropagate(x, activations, gradients)
        return values, gradient

    def _term_gradients(
        self, parts: ByLayer, targets: ByTerm, guides: ByLayer, dsums: ByTerm
    ) -> ByLayer:
        """Gradient of the terms with respect to the measured part of the activations."""
        gradients: ByLayer = {}

        def add(term: Term, target: Any, dsum: Sums, guide: tf.Tensor | None) -> None:
            gradient = term.cost.gradient(parts[term.layer], target, dsum, guide)
            gradient = tf.cast(gradient, self.gradient_dtype)
            if term.layer in gradients:
                gradient = gradients[term.layer] + gradient
            gradients[term.layer] = gradient

        for term in self.mean_terms:
            for region, guide in enumerate(self._regions(guides, term.layer)):
                add(term, None, _region(dsums[term.key], region), guide)
        for term in self.position_terms:
            add(term, targets[term.key], dsums[term.key], guides.get(term.key))
        return gradients

    def _backpropagate(self, x: tf.Tensor, activations: ByLayer, gradients: ByLayer) -> tf.Tensor:
        """Gradient with respect to ``x`` from the gradients with respect to activations."""
        scale = None
        if self.network.dtype == tf.float16:
            # A common power of two brings the largest gradient to the middle of float16's range.
            largest = tf.reduce_max([tf.reduce_max(tf.abs(g)) for g in gradients.values()])
            exponent = tf.math.log(16.0 / tf.maximum(largest, 1e-30)) / math.log(2.0)
            scale = tf.pow(2.0, tf.round(exponent))
            gradients = {name: tf.cast(g * scale, tf.float16) for name, g in gradients.items()}
        gradient = self.network.backpropagate(x, self.layers, activations, gradients)
        return gradient if scale is None else tf.cast(gradient, tf.float32) / scale


def mean_cost(term: Term) -> MeanCost:
    """The cost of a term that does not compare positions."""
    assert not term.cost.compares_positions
    return cast(MeanCost, term.cost)


def position_cost(term: Term) -> PositionCost:
    """The cost of a term that compares positions."""
    assert term.cost.compares_positions
    return cast(PositionCost, term.cost)


def added(total: ByTerm, part: Mapping[str, Any]) -> ByTerm:
    """Add the sums of a tile to those of the tiles before it."""
    if not total:
        return dict(part)
    return {key: tf.nest.map_structure(tf.add, total[key], part[key]) for key in total}


def _region(sums: Sums, region: int) -> Sums:
    return tf.nest.map_structure(lambda tensor: tensor[region], sums)


def divided(sums: Sums, positions: tf.Tensor) -> Sums:
    """The mean of sums over a number of positions."""
    return tf.nest.map_structure(lambda t: t / tf.cast(positions, t.dtype), sums)


def _stacked(regions: Sequence[Sums]) -> Sums:
    return tf.nest.map_structure(lambda *tensors: tf.stack(tensors), *regions)
