"""The record of one iteration, which frames, log, checkpoints, progress and tests read."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nst.optimizers import AdamState, LBFGSState

COSTS = ("J", "J_content", "J_style", "J_tv")


class Costs(NamedTuple):
    """J = alpha J_content + beta J_style + tv_weight J_tv, and its unweighted parts.

    A part whose weight is 0 is not computed and is 0, but for J_tv. layers: J_style of each style
    layer, times the weight of the layer; their sum is J_style.
    """

    total: float
    content: float
    style: float
    tv: float
    layers: tuple[float, ...] = ()

    def named(self) -> dict[str, float]:
        """The costs by their names in logs, manifests and events."""
        return dict(zip(COSTS, self))


@dataclass(frozen=True)
class Position:
    """All that a transfer needs to go on after an iteration, bit for bit, beside its inputs.

    iteration, scale, seconds, costs: as in Step. optimizer: its state, which holds the image; its
    arrays are never changed, so that a position can be saved at any time.
    """

    iteration: int
    scale: int
    seconds: float
    costs: Costs
    optimizer: AdamState | LBFGSState


@dataclass(frozen=True)
class Step:
    """The picture after ``iteration`` evaluations of the cost, and the costs of this picture.

    iteration: 0 (start image) .. epochs.
    scale: number of the scale that is worked on, 1 (coarsest) .. scales. Costs of different scales
        are not comparable.
    image: (H, W, 3) float32, sRGB, 0..255, of the size of the scale.
    seconds: of work since the run began, the measuring of the targets included; of a resumed run
        without the time between.
    position: from where ``transfer_style`` goes on. From a worker of a cluster, image and position
        come only when they are to be saved, and are None otherwise.
    """

    iteration: int
    epochs: int
    scale: int
    scales: int
    image: np.ndarray | None
    costs: Costs
    seconds: float
    position: Position | None
