"""The record of one iteration, which frames, log, checkpoints, progress and tests read."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from nst.engine.optimizers import OptimizerState

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
        return dict(zip(COSTS, (self.total, self.content, self.style, self.tv)))


@dataclass(frozen=True)
class Position:
    """Where a transfer is after an iteration: beside its inputs, all that it needs to resume.

    iteration: 0 (start image) .. epochs.
    scale: 1 (coarsest) .. number of scales. Costs of different scales are not comparable.
    seconds: of work since the run began, the measuring of the targets included; of a resumed run
        without the time between.
    costs: of the image of this iteration.
    state: of the optimizer, which holds the image. Its arrays are never changed, so that a position
        can be saved at any time. None where the position is not to be saved (from a worker of a
        cluster).
    anchor: (H, W, 3) float32, the picture at the start of the scale, where J depends on it: in a
        run with the style loss ``neighbours``, after the first scale. None for others.
    """

    iteration: int
    scale: int
    seconds: float
    costs: Costs
    state: OptimizerState | None
    anchor: np.ndarray | None = None


@dataclass(frozen=True)
class Step:
    """The picture after an iteration: ``iteration`` evaluations of the cost after the start image.

    epochs: the last iteration. scales: how many there are.
    image: (H, W, 3) float32, sRGB, 0..255, of the size of the scale; None where no frame is due
        (from a worker of a cluster).
    """

    position: Position
    epochs: int
    scales: int
    image: np.ndarray | None

    @property
    def iteration(self) -> int:
        """0 (start image) .. epochs."""
        return self.position.iteration

    @property
    def scale(self) -> int:
        """1 (coarsest) .. scales."""
        return self.position.scale

    @property
    def seconds(self) -> float:
        """Seconds of work since the run began."""
        return self.position.seconds

    @property
    def costs(self) -> Costs:
        """The costs of ``image``, but before the colours of ``preserve_colors`` were restored."""
        return self.position.costs

    @property
    def is_last(self) -> bool:
        """Whether this is the last iteration of the run."""
        return self.iteration == self.epochs

    @property
    def picture(self) -> np.ndarray:
        """``image``, of a step that comes with it."""
        assert self.image is not None
        return self.image

    def without_state(self) -> "Step":
        """The same step without the memory of the optimizer's state."""
        return replace(self, position=replace(self.position, state=None, anchor=None))
