"""The sizes of style features of the style loss ``neighbours``, for its search and the forecast."""

from nst.vgg.layers import CHANNELS, CONVOLUTIONS

BLOCKS = (1, 2, 3, 4)  # of the network, whose convolutions are compared
LAST_BLOCKS = (2, 3, 4)  # likewise, in the last pass: block 1 adds little but grain
CELLS = {1: 4, 2: 2, 3: 1, 4: 1}  # of each block, that a position of a hypercolumn is the mean of
FINE = 4  # pixels along a position of a hypercolumn
TURNS = 4  # of a style, by 90 degrees
MOST_FEATURES = 16384  # of all styles and turns, among which a hypercolumn is looked for
MOST_LAST_FEATURES = 3600  # likewise in the last pass, of each layer


def block(layer: str) -> int:
    """The block of a convolution."""
    return int(layer.removeprefix("conv")[0])


def hypercolumn_values(network: str) -> int:
    """How many values a hypercolumn has."""
    return sum(CONVOLUTIONS[network][b - 1] * CHANNELS[b - 1] for b in BLOCKS)


def target_values(network: str) -> float:
    """How many values the targets of a pixel have in the last pass, which has the most."""
    return sum(CONVOLUTIONS[network][b - 1] * CHANNELS[b - 1] / 4 ** (b - 1) for b in LAST_BLOCKS)
