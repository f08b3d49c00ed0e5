"""The words of ``--style_loss``: for each the class of its cost, and how it is minimised.

Nothing else knows a loss by its word. A further one is a class and a line in ``STYLE_LOSSES``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# All convolutions of these blocks are compared by a loss that matches, in place of --style_layers.
MATCHED_BLOCKS = (1, 2, 3, 4)


@dataclass(frozen=True)
class Schedule:
    """The scales of a run, and its iterations.

    coarsest: pixels of the long side where ``--scales auto`` starts. ratio: of a scale to the one
    before; None for about 2, so that ``auto`` starts at ``coarsest``. most: scales of ``auto`` at
    most.
    shares: iterations of the scales, coarsest first, in proportion; further scales, which come
    before, have the first of them. None: each has LESS (``nst.engine.scales``) of those before.
    first_step: mean length of the first step of L-BFGS, as a fraction of the range of values; None
    for its usual one.

    With ``rounds`` a last pass at full size follows, in so many rounds at most, of which each looks
    for its own targets. last_share: its iterations, in proportion to ``shares``. epochs_per_round:
    of the whole run; fewer epochs have fewer rounds. last_first_step: ``first_step`` of a round.
    """

    # From 200 on a low cost is reached sooner, but the content dissolves in strokes as large as its
    # parts.
    coarsest: int = 400
    ratio: float | None = None
    most: int | None = None
    shares: tuple[float, ...] | None = None
    first_step: float | None = None
    rounds: int = 0
    last_share: float = 0.0
    epochs_per_round: int = 1
    last_first_step: float | None = None


@dataclass(frozen=True)
class StyleLoss:
    """A style loss.

    cost: ``module:class`` of the cost of a layer, a ``nst.engine.cost_protocols.MeanCost``, made
    from the number of its channels; with ``matches`` a ``PositionCost`` whose targets are
    ``NeighbourTarget``, made from that and its ``cells``.
    matches: whether each position of the picture is compared with a feature of the style of its
    own, the most similar one to the content (``nst.engine.neighbour_search``). That holds the
    content, so there is no content cost. Otherwise means over picture and style are compared.
    defaults: of settings.
    """

    cost: str
    matches: bool = False
    schedule: Schedule = Schedule()
    defaults: Mapping[str, Any] = field(default_factory=dict)


STYLE_LOSSES = {
    "gram": StyleLoss("nst_utils:StyleCost"),
    "moments": StyleLoss("nst.engine.style_costs:MomentsCost"),
    "wasserstein": StyleLoss("nst.engine.style_costs:WassersteinCost"),
    "neighbours": StyleLoss(
        "nst.engine.neighbour_cost:NeighbourCost",
        matches=True,
        schedule=Schedule(
            coarsest=64,
            ratio=2.0,
            most=4,
            shares=(40.0, 40.0, 30.0, 24.0),
            # Longer first steps leave noise, or are rejected.
            first_step=0.02,
            rounds=5,
            last_share=25.0,
            epochs_per_round=8,
            last_first_step=0.004,
        ),
        defaults={"epochs": 160, "optimizer": "lbfgs", "init": "content", "scales": "auto"},
    ),
}
