"""Tiles cover a map once, lie on the grid of the pools, and have halos of the right width."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from nst.engine.tiling import WHOLE, StageTiling, Tiling, grid, halo, span_totals, spans
from nst.vgg.layers import layer_names, layers_up_to
from nst_utils import VGG

NAMES = layer_names("VGG-19")
LAYERS = st.sampled_from(NAMES).map(lambda deepest: tuple(layers_up_to("VGG-19", [deepest])))


@given(st.integers(1, 3000), st.integers(1, 4000), LAYERS)
def test_the_insides_of_spans_cover_a_side_once(side, size, layers):
    step, around = grid(layers), halo(layers)
    cut = spans(side, size, layers)
    assert [0, *(span.end for span in cut)] == [*(span.first for span in cut), side]
    for span in cut:
        assert span.start == max(0, span.first - around)
        assert span.stop == min(side, span.end + around)
        assert span.cells == span.stop - span.start
        assert span.start % step == span.first % step == 0
        assert 0 < span.end - span.first <= math.ceil(size / step) * step
    inside = [span.end - span.first for span in cut]
    assert max(inside) - min(inside) <= 2 * step  # nearly equal


@given(st.integers(1, 3000), st.integers(1, 4000), LAYERS)
def test_fewer_spans_would_be_larger_than_asked_for(side, size, layers):
    step = grid(layers)
    largest = math.ceil(size / step) * step
    assert len(spans(side, size, layers)) == math.ceil(side / largest)


@given(st.integers(1, 3000), st.integers(1, 4000), LAYERS)
def test_totals_are_of_the_spans(side, size, layers):
    cells = [span.cells for span in spans(side, size, layers)]
    assert span_totals(side, size, layers) == (len(cells), max(cells), sum(cells))


@given(
    size=st.tuples(st.integers(1, 700), st.integers(1, 300)),
    tile_size=st.none() | st.integers(1, 400),
    layers=LAYERS,
    stride=st.sampled_from([1, 2, 4]),
)
def test_tiles_are_the_rows_with_the_columns(size, tile_size, layers, stride):
    stage = StageTiling(layers, stride, tile_size)
    tiles = stage.tiles(size)
    height, width = stage.map_size(size)
    assert (height - 1) * stride < size[0] <= height * stride
    assert (width - 1) * stride < size[1] <= width * stride
    if tile_size is None:
        assert len(tiles) == 1
    covered = np.zeros((height, width), np.uint8)
    cells = np.arange(height * width).reshape(height, width)
    for tile in tiles:
        top, left, bottom, right = tile.inside
        covered[top:bottom, left:right] += 1
        box = tile.relative(tile.inside)
        read = cells[tile.rows, tile.columns]
        assert (read[box[0] : box[2], box[1] : box[3]] == cells[top:bottom, left:right]).all()
    assert (covered == 1).all()


@given(
    size=st.tuples(st.integers(1, 150), st.integers(1, 60)),
    tile_size=st.none() | st.integers(1, 100),
    layers=LAYERS,
    stride=st.sampled_from([1, 2, 4]),
)
def test_what_is_measured_is_the_picture_without_its_border(size, tile_size, layers, stride):
    stage = StageTiling(layers, stride, tile_size)
    pixels = max(16, stride * grid(layers))
    border = pixels // stride
    with_border = size[0] + 2 * pixels, size[1] + 2 * pixels
    height, width = stage.map_size(size)
    measured = np.zeros(stage.map_size(with_border), np.uint8)
    for tile in stage.tiles(with_border):
        top, left, bottom, right = tile.measured((height, width), border)
        measured[top:bottom, left:right] += 1
        inside = tile.inside
        assert inside[0] <= top <= bottom <= inside[2]
        assert inside[1] <= left <= right <= inside[3]
        assert top % grid(layers) == left % grid(layers) == 0  # empty boxes, too, at any depth
    assert (measured[border : border + height, border : border + width] == 1).all()
    assert measured.sum() == height * width


@given(
    LAYERS,
    st.lists(st.tuples(st.sampled_from(NAMES), st.none() | st.integers(1, 500)), max_size=4),
)
def test_stages_are_the_layers_in_order(layers, cuts):
    tiling = Tiling((*cuts, (None, 100)))
    stages = tiling.stages(layers)
    assert [layer for stage in stages for layer in stage.layers] == list(layers)
    stride = 1
    for stage in stages:
        assert stage.stride == stride
        stride *= grid(stage.layers)


def test_the_whole_is_one_stage_of_one_tile():
    (stage,) = WHOLE.stages(NAMES)
    (tile,) = stage.tiles((301, 200))
    assert tile.relative(tile.inside) == tile.inside == (0, 0, 301, 200)
    assert tile.measured((301, 200), 0) == tile.inside
    assert tile.measured((269, 168), 16) == (16, 16, 285, 184)


@pytest.mark.parametrize(("deepest", "width"), [("conv1_1", 1), ("pool1", 2), ("conv5_4", 128)])
def test_the_halo_is_as_wide_as_a_layer_sees(vgg19, deepest, width):
    layers = layers_up_to("VGG-19", [deepest])
    assert halo(layers) == width
    size = 2 * width + 4 * grid(layers)
    random = np.random.default_rng(0)
    image = random.uniform(0, 255, (size, size, 3)).astype(np.float32)
    other = image.copy()
    centre = size // 2 // grid(layers) * grid(layers)
    other[:, : centre - width] = 0  # what lies beyond the halo
    vgg = VGG(vgg19, (deepest,))
    cell = centre // grid(layers)
    seen, blind = (vgg(tf.constant(x))[deepest].numpy()[:, :, cell:] for x in (image, other))
    assert (seen[:, :, :1] == blind[:, :, :1]).all()
    other[:, : centre + grid(layers)] = 0
    changed = vgg(tf.constant(other))[deepest].numpy()[:, :, cell:]
    assert not (seen[:, :, :1] == changed[:, :, :1]).all()
