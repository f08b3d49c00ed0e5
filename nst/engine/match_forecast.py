"""Forecast of what matching takes: memory of targets and features, and the work of the search."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from nst.engine.hypercolumns import FINE, MOST_FEATURES, TURNS, hypercolumn_values, target_values
from nst.engine.pixels import IMAGE_BYTES
from nst.engine.stage_forecast import ITEM


class MatchForecast(NamedTuple):
    """Of one scale; all 0 for a style loss that does not match positions.

    anchor: bytes of the picture at the start of the scale. targets: bytes of the targets. features:
    bytes of the features of the style and of one turn, while the targets are looked for. search:
    operations of that, but for the style's activations; about as many in a round of the last pass.
    turns: how often the activations of all styles are computed for it.
    """

    anchor: float = 0.0
    targets: float = 0.0
    features: float = 0.0
    search: float = 0.0
    turns: float = 0.0


def match_forecast(
    network: str, dtype: str, size: tuple[int, int], styles: Sequence[tuple[int, int]]
) -> MatchForecast:
    """Return the forecast for a picture of ``size`` and styles of sizes, (height, width).

    dtype: of the convolutions.
    """
    pixels, item, values = math.prod(size), ITEM[dtype], hypercolumn_values(network)
    turn = item * target_values(network) * max(map(math.prod, styles), default=0)
    positions = pixels / FINE**2
    features = min(MOST_FEATURES, TURNS * sum(map(math.prod, styles)) / FINE**2)
    return MatchForecast(
        anchor=IMAGE_BYTES * pixels,
        targets=item * target_values(network) * pixels,
        # Directions and matrix are kept, and made from float32.
        features=turn + (2 * item + 8) * (MOST_FEATURES * values),
        search=2 * positions * features * values,
        turns=TURNS / 2,
    )
