"""The total cost of a picture and its gradient, exact at any size: whole, or by tiles.

J(G) = alpha J_content(C, G) + beta J_style(S, G) + tv_weight J_tv(G) ([1] equation 7).

The network is cut into stages, each evaluated by tiles of its own size; one stage with one tile is
the whole picture. A first pass sums Gram matrices and content differences over the tiles, and
keeps the map that the next stage reads. Then the slopes of the cost are known, and a second pass,
from the last stage back to the picture, sums the gradients of the tiles. Nothing is approximated:
the tiles' halos (``nst.tiling``) make their insides the activations of the whole picture.

Several styles are one picture's: their Gram matrices are mixed into one, or with content masks each
is the target of its own region ([2], sections 4 and 6).

[1] Gatys, Ecker and Bethge, A Neural Algorithm of Artistic Style, 2015 (arXiv:1508.06576).
[2] Gatys et al., Controlling Perceptual Factors in Neural Style Transfer, CVPR 2017.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from nst import costs, guides
from nst.pictures import Pictures
from nst.stage import Stage
from nst.step import Costs
from nst.tile_graph import Graphs, Tensors
from nst.tiling import WHOLE, Plan, StagePlan


class Objective:
    """The total cost of a picture of one size, and its gradient with respect to its pixels."""

    def __init__(self, graphs: Graphs, pictures: Pictures, plan: Plan = WHOLE) -> None:
        """Measure the targets: activations of the content, Gram matrices of the styles."""
        self.settings = graphs.settings
        stages = plan.stages(graphs.vgg.layers)
        self.style_targets = self._measure_styles(graphs, pictures, stages)
        weights = (1.0,)
        if pictures.content_masks:
            shares = self.settings.style_shares(len(pictures.styles))
            weights = tuple(share * len(shares) for share in shares)
        of_regions = guides.pyramid(pictures.content_masks)
        self._stages = [Stage(graphs, cut, pictures.size, weights, of_regions) for cut in stages]
        read = pictures.content if self.settings.alpha else None
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
        content = float(content)
        for stage, (grams, distances) in zip(reversed(before), reversed(sums)):
            of_stage, of_layers = stage.costs(grams, distances, self.style_targets)
            content, style = content + float(of_stage), style | of_layers
            slope = stage.pull(maps.pop(), grams, self.style_targets, slope)
        layers = tuple(float(style[name]) for name, _ in self.settings.used_style_layers)
        tv = costs.total_variation(image, self.settings.tv_weight, slope)
        total = (
            self.settings.alpha * content
            + self.settings.beta * sum(layers)
            + self.settings.tv_weight * tv
        )
        return Costs(total, content, float(sum(layers)), tv, layers), slope

    def _measure_styles(
        self, graphs: Graphs, pictures: Pictures, stages: Sequence[StagePlan]
    ) -> Tensors:
        """Gram matrices per position of each layer, (R, C, C): one a region, or all mixed."""
        targets: Tensors = {}
        if not self.settings.beta:
            return targets
        shares = self.settings.style_shares(len(pictures.styles))
        for number, style in enumerate(pictures.styles):
            masks = pictures.style_masks[number : number + 1]
            key = tuple(map(_digest, (style, *masks))), tuple(stages)
            measured = graphs.style(key, lambda s=style, m=masks: _measure(graphs, stages, s, m))
            for layer, gram in measured.items():
                if pictures.content_masks:
                    before = [targets[layer]] if layer in targets else []
                    targets[layer] = tf.concat([*before, gram], axis=0)
                else:
                    gram = shares[number] * gram
                    targets[layer] = targets[layer] + gram if layer in targets else gram
        return targets


def _measure(
    graphs: Graphs, stages: Sequence[StagePlan], style: np.ndarray, masks: Sequence[np.ndarray]
) -> Tensors:
    """Gram matrices per position of one style, (1, C, C). masks: its mask, or none."""
    of_style, found, read = guides.pyramid(masks), {}, style
    for cut in stages:
        stage = Stage(graphs, cut, style.shape[:2], (1.0,), of_style)
        grams, _, read = stage.measure(read)
        found |= {layer: gram / stage.masses.regions[layer][0] for layer, gram in grams.items()}
    return found


def _digest(array: np.ndarray) -> bytes:
    shape = np.array(array.shape).tobytes()
    return hashlib.sha256(shape + np.ascontiguousarray(array).data.tobytes()).digest()
