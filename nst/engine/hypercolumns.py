"""Sizes of the features that a style loss compares which matches positions."""

from collections.abc import Iterable

from nst.style_losses import MATCHED_BLOCKS
from nst.vgg.layers import CHANNELS, CONVOLUTIONS, block

LAST_BLOCKS = (2, 3, 4)  # compared in the last pass: block 1 adds little but grain
# Block -> a position of a hypercolumn is the mean over so many by so many cells of an activation.
CELLS = {1: 4, 2: 2, 3: 1, 4: 1}
FINE = 4  # pixels along a position of a hypercolumn
TURNS = 4  # a style is also searched turned by 90, 180 and 270 degrees
MOST_FEATURES = 16384  # hypercolumns of all styles and turns
MOST_LAST_FEATURES = 3600  # features of each layer in the last pass, of all styles and turns


def layer_cells(layers: Iterable[str], last_pass: bool) -> dict[str, int]:
    """{layer: cells along each side of a position}, of the layers that are compared.

    A hypercolumn has all of ``layers``; in the last pass each of the last blocks has features of
    its own, at its own resolution.
    """
    if last_pass:
        return {layer: 1 for layer in layers if block(layer) in LAST_BLOCKS}
    return {layer: CELLS[block(layer)] for layer in layers}


def hypercolumn_values(network: str) -> int:
    """How many values a hypercolumn has."""
    return sum(CONVOLUTIONS[network][b - 1] * CHANNELS[b - 1] for b in MATCHED_BLOCKS)


def target_values(network: str) -> float:
    """Values that the targets take for each pixel, in the last pass, where they take the most."""
    return sum(CONVOLUTIONS[network][b - 1] * CHANNELS[b - 1] / 4 ** (b - 1) for b in LAST_BLOCKS)
