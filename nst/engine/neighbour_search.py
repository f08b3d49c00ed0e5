"""Find the nearest style feature for each position of a picture.

Neural Neighbor Style Transfer, Kolkin et al. 2022 (arXiv:2203.13215). At every scale a feature is
a hypercolumn: all convolutions of blocks 1 to 4, at a quarter of the resolution. In the last pass
each convolution has features of its own, at its own resolution. The nearest feature is the one of
the largest cosine, after the means of picture and style are subtracted. The style is also searched
turned by 90, 180 and 270 degrees.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from nst.engine.borders import extend
from nst.engine.cost_protocols import Term
from nst.engine.hypercolumns import FINE, MOST_FEATURES, MOST_LAST_FEATURES, TURNS
from nst.engine.inputs import TransferInputs, digest
from nst.engine.masks import mask_pyramid
from nst.engine.neighbour_cost import NeighbourTarget
from nst.engine.rows import ROWS
from nst.engine.stage import Stage
from nst.engine.tile_graphs import TileGraphs
from nst.engine.tiling import Tiling
from nst.pictures.resize import resize
from nst.vgg.layers import block, channels

CONTENT_SHARE = 0.75  # of the content in the query; the rest is the picture so far
QUERIES = 1024  # positions that are searched for at once

Kept = dict[str, np.ndarray]  # (1, h, w, C) by the key of a term


class Column(NamedTuple):
    """Terms that share one search, at positions of ``pixels`` x ``pixels``.

    joint: whether the feature is a hypercolumn, rather than one activation.
    """

    terms: tuple[Term, ...]
    pixels: int
    joint: bool

    def spread(self, term: Term) -> int:
        """Positions along one side of a cell that a term keeps: 2 in block 4 of a hypercolumn."""
        return max(1, 2 ** (block(term.layer) - 1) // self.pixels)

    def features(self, kept: Kept, places: np.ndarray, width: int) -> np.ndarray:
        """Features of places, (n, D) float32.

        places: (n,) numbers of positions, counted row by row, ``width`` in a row.
        """
        parts = []
        for term in self.terms:
            part = self.part(kept, term, places, width).astype(np.float32)
            parts.append(part / np.float32(channels(term.layer)) if self.joint else part)
        return np.concatenate(parts, axis=1)

    def part(self, kept: Kept, term: Term, places: np.ndarray, width: int) -> np.ndarray:
        """What a term keeps at places, (n, C)."""
        rows, columns = np.divmod(places, width)
        spread = self.spread(term)
        return kept[term.key][0, rows // spread, columns // spread]


class Library(NamedTuple):
    """The features of a style, or of several together.

    matrix: (S, D) features less their mean, scaled to unit length, in the dtype of the search.
    directions: {key of a term: (S, C)} unit vectors in the dtype of the network. shares: {key of a
    term: (S,)}, its share of the squared length of each feature.
    """

    matrix: tf.Tensor
    directions: dict[str, np.ndarray]
    shares: dict[str, np.ndarray]


def columns(terms: Sequence[Term], last_pass: bool) -> list[Column]:
    """The columns of terms: one hypercolumn, or in the last pass one for each term."""
    if not last_pass:
        return [Column(tuple(terms), FINE, True)]
    return [Column((term,), 2 ** (block(term.layer) - 1), False) for term in terms]


def mixed_query(content: np.ndarray, picture: np.ndarray | None) -> np.ndarray:
    """The picture whose features are searched for.

    It is the content, mixed with the picture so far, to which the content's details are added.
    """
    if picture is None:
        return content
    height, width = content.shape[:2]
    blurred = resize(resize(content, (-(-height // 2), -(-width // 2))), (height, width))
    mixed = CONTENT_SHARE * content + (1 - CONTENT_SHARE) * (picture + content - blurred)
    return mixed.astype(np.float32)


def find_targets(
    graphs: TileGraphs,
    inputs: TransferInputs,
    tiling: Tiling,
    picture: np.ndarray | None,
    last_pass: bool,
) -> dict[str, NeighbourTarget]:
    """Return the targets of the terms, as arrays.

    picture: (H, W, 3) at the start of the scale, None at the first scale. With content masks, each
    position is searched for in the style of the mask that is largest there; the value of this mask
    is its weight. Positions that are not visible have the weight 0 and are not searched for.
    """
    assert inputs.content is not None
    terms = graphs.total_cost.last_terms if last_pass else graphs.total_cost.terms
    if last_pass:
        assert picture is not None
        query = picture
    else:
        query = mixed_query(inputs.content, picture)
    libraries = _libraries(graphs, inputs, tiling, last_pass)
    kept = _measure(graphs, query, tiling, last_pass)
    guides = mask_pyramid(inputs.regions)
    count = len(inputs.style_shares)
    targets: dict[str, NeighbourTarget] = {}
    for column, library in zip(columns(terms, last_pass), libraries):
        shape = -(-inputs.size[0] // column.pixels), -(-inputs.size[1] // column.pixels)
        region, strength = np.zeros(shape, np.int64), np.ones(shape, np.float32)
        if guides:
            guide = guides[column.pixels]
            region, strength = guide.argmax(axis=2), guide.max(axis=2)
            if inputs.content_masks:
                strength = strength * np.array([s * count for s in inputs.style_shares])[region]
            if inputs.visible is not None:
                region = np.where(strength > 0, region, -1)
        centre, chosen, start = np.zeros(1), np.zeros(math.prod(shape), np.int64), 0
        for number, style in enumerate(library):
            places = np.flatnonzero(region == number)
            if len(places):
                own, nearest = _nearest(column, kept, places, shape[1], style)
                chosen[places] = start + nearest
                centre = centre + own * (len(places) / len(chosen))
            start += len(style.matrix)
        targets |= _gathered(column, library, chosen.reshape(shape), strength, centre, kept)
        for term in column.terms:
            del kept[term.key]  # free its memory
    return targets


def _nearest(
    column: Column, kept: Kept, places: np.ndarray, width: int, style: Library
) -> tuple[np.ndarray, np.ndarray]:
    """The mean of the features at places, (D,) float32, and the nearest feature of each, (n,)."""
    total, nearest = np.zeros(1), []
    for part in _chunks(places):
        total = total + column.features(kept, part, width).sum(axis=0, dtype=np.float64)
    centre = (total / len(places)).astype(np.float32)
    for part in _chunks(places):
        query = column.features(kept, part, width) - centre
        nearest.append(_largest(tf.cast(query, style.matrix.dtype), style.matrix).numpy())
    return centre, np.concatenate(nearest)


def _largest(query: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """For each row of ``query``, the number of the row of ``matrix`` with the largest product."""
    products = tf.matmul(query, matrix, transpose_b=True)
    return tf.argmax(products, axis=1)


def _chunks(places: np.ndarray) -> Iterator[np.ndarray]:
    for first in range(0, len(places), QUERIES):
        yield places[first : first + QUERIES]


def _gathered(
    column: Column,
    library: Sequence[Library],
    chosen: np.ndarray,
    strength: np.ndarray,
    centre: np.ndarray,
    kept: Kept,
) -> dict[str, NeighbourTarget]:
    """The targets of the terms of a column.

    chosen: (h, w), the number of the nearest feature of each position. strength: (h, w), the weight
    of each position. centre: (D,), of the features of the picture.
    """
    targets = {}
    for term in column.terms:
        directions = np.concatenate([style.directions[term.key] for style in library])
        shares = np.concatenate([style.shares[term.key] for style in library])
        weight = np.float32(shares[chosen].mean(dtype=np.float64))
        spread = column.spread(term)
        _, height, width, depth = kept[term.key].shape
        whole = np.empty((1, height, width, depth), kept[term.key].dtype)
        # An odd last row or column is repeated, which does not change the mean.
        rows_missing, columns_missing = (
            spread * height - len(chosen),
            spread * width - chosen.shape[1],
        )
        odd = [(0, rows_missing), (0, columns_missing)]
        places, weights = (np.pad(array, odd, "edge") for array in (chosen, weight * strength))
        step = max(1, ROWS // 8)
        for top in range(0, height, step):
            rows = slice(top * spread, (top + step) * spread)
            part = directions[places[rows]].astype(np.float32) * weights[rows, :, np.newaxis]
            if spread > 1:
                part = part.reshape(-1, spread, width, spread, depth).mean(axis=(1, 3))
            whole[0, top : top + step] = part
        seen_from = np.zeros(depth) if column.joint else centre
        targets[term.key] = NeighbourTarget(whole, seen_from.astype(np.float32))
    return targets


# --- The features of the styles ------------------------------------------------------------------


def _libraries(
    graphs: TileGraphs, inputs: TransferInputs, tiling: Tiling, last_pass: bool
) -> list[list[Library]]:
    """For each column the libraries of its regions, or one library of all styles."""
    key = (
        *(digest(array) for array in (*inputs.styles, *inputs.style_masks)),
        inputs.style_shares,
        bool(inputs.content_masks),
        tiling,
        last_pass,
    )
    return graphs.features(key, lambda: _make_libraries(graphs, inputs, tiling, last_pass))


def _make_libraries(
    graphs: TileGraphs, inputs: TransferInputs, tiling: Tiling, last_pass: bool
) -> list[list[Library]]:
    terms = graphs.total_cost.last_terms if last_pass else graphs.total_cost.terms
    most = MOST_LAST_FEATURES if last_pass else MOST_FEATURES
    wanted = columns(terms, last_pass)
    parts: list[list[dict[str, list[np.ndarray]]]] = []  # of each style and column, by key
    random = np.random.default_rng(0)
    places = _style_places(inputs, wanted, most, random)
    for number, style in enumerate(inputs.styles):
        style_parts: list[dict[str, list[np.ndarray]]] = [{} for _ in wanted]
        for turn in range(TURNS):
            turned = np.ascontiguousarray(np.rot90(style, turn))
            kept = _measure(graphs, turned, tiling, last_pass)
            for column, column_parts, at in zip(wanted, style_parts, places[number][turn]):
                width = -(-turned.shape[1] // column.pixels)
                for term in column.terms:
                    part = column.part(kept, term, at, width)
                    column_parts.setdefault(term.key, []).append(part)
        parts.append(style_parts)
    if not inputs.content_masks:
        parts = [
            [
                {
                    key: list(itertools.chain(*(style[i][key] for style in parts)))
                    for key in parts[0][i]
                }
                for i in range(len(wanted))
            ]
        ]
    return [
        [_library(column, style[i], graphs) for style in parts] for i, column in enumerate(wanted)
    ]


def _library(column: Column, parts: dict[str, list[np.ndarray]], graphs: TileGraphs) -> Library:
    """The library of a column.

    parts: {key of a term: arrays (n, C)}, which are (S, C) together; emptied, to free memory.
    """
    own = graphs.network.dtype.as_numpy_dtype
    dtype = tf.bfloat16 if graphs.network.dtype == tf.bfloat16 else tf.float32  # of the search
    depths = [channels(term.layer) for term in column.terms]
    count = sum(map(len, parts[column.terms[0].key]))
    matrix = np.empty((count, sum(depths)), np.float32)
    directions, squares = {}, {}
    for term, depth, end in zip(column.terms, depths, itertools.accumulate(depths)):
        part = np.concatenate(parts.pop(term.key)).astype(np.float32)
        here = matrix[:, end - depth : end]
        np.divide(part, np.float32(depth if column.joint else 1), out=here)
        squares[term.key] = _squares(here)
        if not column.joint:  # a feature of one term is compared less its mean
            part -= _mean(part)
        _scale_to_unit(part)
        directions[term.key] = part.astype(own)
    matrix -= _mean(matrix)
    _scale_to_unit(matrix)
    total = np.maximum(sum(squares.values()), np.float32(1e-20))
    return Library(
        tf.constant(matrix.astype(dtype.as_numpy_dtype)),
        directions,
        {key: square / total for key, square in squares.items()},
    )


def _mean(rows: np.ndarray) -> np.ndarray:
    return rows.mean(axis=0, dtype=np.float64).astype(np.float32)


def _squares(rows: np.ndarray) -> np.ndarray:
    """Squared lengths."""
    return np.einsum("ij,ij->i", rows, rows)


def _scale_to_unit(rows: np.ndarray) -> None:
    """Scale rows to the length 1, in place."""
    rows /= np.maximum(np.sqrt(_squares(rows)), np.float32(1e-10))[:, np.newaxis]


def _style_places(
    inputs: TransferInputs, wanted: Sequence[Column], most: int, random: np.random.Generator
) -> list[list[list[np.ndarray]]]:
    """The places whose features are taken, of each style, turn and column.

    Of more than ``most`` in all, places are drawn at random; of several styles that are mixed, in
    proportion to their shares. Of a style with a mask only places count where the mask is at least
    half of its largest value.
    """
    possible: list[list[list[np.ndarray]]] = []
    for number, style in enumerate(inputs.styles):
        turns = []
        for turn in range(TURNS):
            masks = [np.rot90(mask, turn) for mask in inputs.style_masks[number : number + 1]]
            size, guides = np.rot90(style, turn).shape[:2], mask_pyramid(masks)
            column_places = []
            for column in wanted:
                inside = np.ones([-(-side // column.pixels) for side in size], bool)
                if guides:
                    inside = guides[column.pixels][:, :, 0] >= guides[column.pixels].max() / 2
                column_places.append(np.flatnonzero(inside))
            turns.append(column_places)
        possible.append(turns)
    shares = inputs.style_shares
    for i in range(len(wanted)):
        available = [sum(len(turn[i]) for turn in turns) for turns in possible]
        if inputs.content_masks:  # each region has its own
            wishes = [min(most // len(shares), count) for count in available]
        else:
            total = min([most, *(n / share for n, share in zip(available, shares))])
            wishes = [max(1, math.floor(total * share)) for share in shares]
        for turns, wish, count in zip(possible, wishes, available):
            for places in turns:
                taken = max(1, round(wish * len(places[i]) / count))
                if taken < len(places[i]):
                    places[i] = np.sort(random.choice(places[i], taken, replace=False))
    return possible


def _measure(graphs: TileGraphs, picture: np.ndarray, tiling: Tiling, last_pass: bool) -> Kept:
    """What the terms keep of the activations of a picture."""
    height, width = picture.shape[:2]
    kept: Kept = {}
    stage_input = extend(picture, graphs.border)
    for stage_tiling in tiling.stages(graphs.network.layers):
        stage = Stage(graphs, stage_tiling, (height, width), (1.0,), {}, last_pass=last_pass)
        stage_kept, stage_input = stage.activations(stage_input)
        kept |= stage_kept
    return kept
