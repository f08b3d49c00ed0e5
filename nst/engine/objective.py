"""Evaluates J and its gradient, exact at any size: whole, or by tiles.

The network is cut into stages, each evaluated by tiles of its own size; one stage with one tile is
the whole picture. A first pass adds up the sums of the costs over the tiles, and keeps the map that
the next stage reads. Then the derivative of J with respect to the sums is known, and a second pass,
from the last stage back to the picture, adds up the gradients of the tiles. Nothing is
approximated: with their halos (``nst.engine.tiling``) the insides of the tiles have the activations
of the whole picture.

Several styles are one picture's: their means are mixed into one, or with content masks each is the
target of its own region ([2], sections 4 and 6).

[2] Gatys et al., Controlling Perceptual Factors in Neural Style Transfer, CVPR 2017.
"""

from collections.abc import Callable, Sequence
from functools import cached_property, partial

import numpy as np
import tensorflow as tf

from nst.engine.borders import extend, extend_tensor, fold, fold_tensor
from nst.engine.inputs import TransferInputs, digest
from nst.engine.masks import mask_pyramid
from nst.engine.stage import Stage
from nst.engine.step import Costs
from nst.engine.tile_graph import ByTerm, TileGraph, divided
from nst.engine.tile_graphs import TileGraphs
from nst.engine.tiling import WHOLE, StageTiling, Tiling


class Objective:
    """J of a picture of one size, and its gradient with respect to the pixels.

    style_means: {key of a term: mean sums of the styles, (R, ...)}: one a region, or all mixed.
    """

    def __init__(
        self,
        graphs: TileGraphs,
        inputs: TransferInputs,
        tiling: Tiling = WHOLE,
        targets: ByTerm | None = None,
        last_pass: bool = False,
    ) -> None:
        """Measure the targets: activations of the content, means of the styles.

        targets: of the positions, structures of arrays, in place of the content's activations.
        last_pass: with the terms of the last pass.
        """
        self.graphs = graphs
        self._border = graphs.border
        self._size = inputs.size
        terms = graphs.total_cost.last_terms if last_pass else graphs.total_cost.terms
        stages = tiling.stages(graphs.network.layers)
        self.style_means: ByTerm = {}
        if any(not term.cost.compares_positions for term in terms):
            self.style_means = _style_means(graphs, inputs, stages)
        region_weights: tuple[float, ...] = (1.0,)
        if inputs.content_masks:
            count = len(inputs.style_shares)
            region_weights = tuple(share * count for share in inputs.style_shares)
        guides = mask_pyramid(inputs.regions)
        if not self.style_means:  # nothing is measured by regions
            region_weights, guides = (1.0,), {}
        self._visible: tuple[tf.Tensor, ...] = ()  # (H, W, 1), none where all of it is
        position_guides = None
        if inputs.visible is not None:
            self._visible = (tf.constant(inputs.visible[:, :, np.newaxis]),)
            if targets is None:  # which hold weights of their own
                position_guides = mask_pyramid((inputs.visible,))
        self._stages = [
            Stage(
                graphs,
                stage,
                inputs.size,
                region_weights,
                guides,
                self.style_means,
                last_pass,
                position_guides,
            )
            for stage in stages
        ]
        if targets is not None:
            for stage in self._stages:
                stage.set_targets(targets)
        elif inputs.content is not None and any(term.cost.compares_positions for term in terms):
            content_map = extend(inputs.content, graphs.border)
            for stage in self._stages:
                content_map = stage.set_content(content_map, tiling.keep_content)

    @property
    def is_whole(self) -> bool:
        """Whether the picture is evaluated at once, in one graph on the device."""
        only = self._stages[0]
        return len(self._stages) == 1 and len(only.tiles) == 1 and min(self._size) > self._border

    @property
    def graph_key(self) -> tuple:
        """Objectives of the same graphs with equal ones evaluate a whole picture alike."""
        return *self._stages[0].graph.key, bool(self._visible)

    @cached_property
    def arguments(self) -> tuple:
        """The tensors that ``evaluate_whole`` needs beside the image."""
        return *self._stages[0].whole_arguments(), self._visible

    def __call__(self, image: np.ndarray) -> tuple[Costs, np.ndarray]:
        """Return the costs of an image (H, W, 3) float32, 0..255, and dJ/dimage, (H, W, 3)."""
        costs, gradient = self.evaluate(tf.constant(image, tf.float32))
        return Costs.of_numbers(map(float, (*costs[:-1], *costs.layers))), gradient.numpy()

    def evaluate(self, image: tf.Tensor) -> tuple[Costs, tf.Tensor]:
        """The same, of tensors; costs are float64 scalars."""
        if self.is_whole:
            compiled = self.graphs.compiled(
                ("evaluate", self.graph_key), lambda: self.evaluate_whole
            )
            return compiled(image, self.arguments)
        *before, last = self._stages
        maps, sums = [extend(image.numpy(), self._border)], []  # of each stage
        for stage in before:
            stage_sums, next_map = stage.sum_tiles(maps[-1], compare=True)
            sums.append(stage_sums)
            maps.append(next_map)
        values, gradient = last.evaluate(maps.pop())
        for stage in reversed(before):
            stage_values, dsums = stage.judge(sums.pop())
            values |= stage_values
            gradient = stage.backward(maps.pop(), dsums, gradient)
        gradient = tf.constant(fold(gradient, self._border))
        return _with_image_cost(self.graphs, values, image, gradient, self._visible)

    @property
    def evaluate_whole(self) -> Callable[[tf.Tensor, tuple], tuple[Costs, tf.Tensor]]:
        """A function of an image and ``arguments``: the same, of a picture evaluated at once.

        It holds nothing of this objective: its graph serves every picture.
        """
        return partial(_evaluate_whole, self.graphs, self._stages[0].graph)


def _evaluate_whole(
    graphs: TileGraphs, graph: TileGraph, image: tf.Tensor, arguments: tuple
) -> tuple[Costs, tf.Tensor]:
    extended = extend_tensor(image, graphs.border)
    *stage_arguments, visible = arguments
    values, gradient = graph.evaluate_inside(extended, *stage_arguments)
    gradient = fold_tensor(gradient, graphs.border)
    return _with_image_cost(graphs, values, image, gradient, visible)


def _with_image_cost(
    graphs: TileGraphs,
    values: ByTerm,
    image: tf.Tensor,
    gradient: tf.Tensor,
    visible: tuple[tf.Tensor, ...],
) -> tuple[Costs, tf.Tensor]:
    """The costs and the gradient of J. visible: (H, W, 1), or none where all of it is."""
    image_cost, gradient = graphs.total_cost.image_cost.add_gradient(image, gradient, *visible)
    return graphs.total_cost.costs(values, image_cost), gradient


def _style_means(
    graphs: TileGraphs, inputs: TransferInputs, stages: Sequence[StageTiling]
) -> ByTerm:
    """Mean sums of the styles, (R, ...): one for each region, or all mixed by their shares."""
    means = []
    for number, style in enumerate(inputs.styles):
        masks = inputs.style_masks[number : number + 1]
        key = tuple(map(digest, (style, *masks))), tuple(stages)
        means.append(graphs.style_means(key, partial(_measure, graphs, stages, style, masks)))
    if inputs.content_masks:
        return tf.nest.map_structure(lambda *tensors: tf.concat(tensors, axis=0), *means)

    def mixed(*tensors: tf.Tensor) -> tf.Tensor:
        total = inputs.style_shares[0] * tensors[0]
        for share, tensor in zip(inputs.style_shares[1:], tensors[1:]):
            total += share * tensor
        return total

    return tf.nest.map_structure(mixed, *means)


def _measure(
    graphs: TileGraphs,
    stages: Sequence[StageTiling],
    style: np.ndarray,
    masks: Sequence[np.ndarray],
) -> ByTerm:
    """Mean sums of one style, (1, ...). masks: its mask, or none."""
    guides, means = mask_pyramid(masks), {}
    stage_input = extend(style, graphs.border)
    for tiling in stages:
        stage = Stage(graphs, tiling, style.shape[:2], (1.0,), guides)
        sums, stage_input = stage.sum_tiles(stage_input)
        for term in stage.graph.mean_terms:
            count = stage.counts.regions[term.layer][0]
            means[term.key] = divided(sums[term.key], count)
    return means
