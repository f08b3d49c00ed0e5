"""Graphs are traced once, for tiles and pictures of every size; styles are measured once."""

import numpy as np
import pytest

from nst.engine import tile_graphs
from nst.engine.inputs import TransferInputs
from nst.engine.objective import Objective
from nst.engine.tile_graphs import TileGraphs
from nst.engine.tiling import WHOLE, Tiling
from nst.settings import Settings
from nst_utils import VGG, TotalCost

SMALL = Settings(content_layers=["conv2_2"], style_layers=["conv1_1", "conv3_1"])


class CountedVGG(VGG):
    """A network that counts how often it is built into a graph, which is when it is called."""

    traced = 0

    def run(self, x, layers):
        self.traced += 1
        return super().run(x, layers)


@pytest.fixture
def graphs(vgg19):
    return TileGraphs(CountedVGG(vgg19, SMALL.used_layers), TotalCost(SMALL))


@pytest.mark.parametrize(
    ("tiling", "traces"),
    [
        (WHOLE, 3),  # the style's sums, the content's activations, cost and gradient
        (Tiling(((None, 16),)), 4),  # sums and gradient apart
        (Tiling((("pool1", 16), (None, 16))), 8),  # of both stages
    ],
)
def test_graphs_are_traced_once_for_all_sizes(graphs, temple, harbour, tiling, traces):
    for factor in (0.3, 0.5, 1):
        inputs = TransferInputs(temple.shape[:2], temple, (harbour,)).scaled(factor)
        objective = Objective(graphs, inputs, tiling)
        for _ in range(2):
            objective(inputs.content)
        assert graphs.network.traced == traces


def test_a_style_is_measured_once_for_all_pictures(vgg19, temple, harbour):
    measured = []

    class CountedGraphs(TileGraphs):
        def run(self, graph, name, arguments):
            measured.append(name == "style_sums")
            return super().run(graph, name, arguments)

    graphs = CountedGraphs(VGG(vgg19, SMALL.used_layers), TotalCost(SMALL))

    def means(style, content=temple, mask=None):
        masks = () if mask is None else (mask,)
        inputs = TransferInputs(content.shape[:2], content, (style,), style_masks=masks)
        return Objective(graphs, inputs).style_means

    first = means(harbour)
    assert sum(measured) == 1
    again = means(harbour.copy(), content=temple[:20])
    assert sum(measured) == 1
    assert all((again[key] == first[key]).numpy().all() for key in first)
    mask = np.tri(*harbour.shape[:2], dtype=np.float32)
    changed = harbour.copy()
    changed[-1, -1] += 9
    for other in (means(changed), means(harbour, mask=mask)):
        assert any((other[key] != first[key]).numpy().any() for key in first)
    assert sum(measured) == 3


def test_only_so_many_styles_are_kept(graphs, monkeypatch):
    monkeypatch.setattr(tile_graphs, "MOST_STYLES", 2)
    measured = []
    for name in "abac":
        graphs.style_means((name,), lambda n=name: measured.append(n) or {})
    assert measured == ["a", "b", "c"]
    graphs.style_means(("b",), lambda: measured.append("b again") or {})
    graphs.style_means(("a",), lambda: measured.append("a again") or {})
    assert measured == ["a", "b", "c", "a again"]  # the oldest was left out
