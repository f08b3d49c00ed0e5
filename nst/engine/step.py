"""The record of one iteration, which frames, log, checkpoints, progress and tests read."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from nst.engine import colours
from nst.engine.optimizers import OptimizerState, SavedState

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

    @classmethod
    def of_numbers(cls, numbers: Iterable[float]) -> "Costs":
        """The costs in the order of the fields, those of the layers last."""
        total, content, style, tv, *layers = numbers
        return cls(total, content, style, tv, tuple(layers))

    def named(self) -> dict[str, float]:
        """The costs by their names in logs, manifests and events."""
        return dict(zip(COSTS, (self.total, self.content, self.style, self.tv)))


class LazyImage:
    """A picture that is copied from the device, and gets its colours, when it is first asked for.

    image: (H, W, 3) tensor. content, mode: as for ``colours.restore``.
    """

    def __init__(self, image: Any, content: np.ndarray | None, mode: str) -> None:
        self._image, self._content, self._mode = image, content, mode

    @cached_property
    def array(self) -> np.ndarray:
        """(H, W, 3) float32, sRGB, 0..255."""
        return colours.restore(self._image.numpy(), self._content, self._mode)


@dataclass(frozen=True)
class Position:
    """Where a transfer is after an iteration: beside its inputs, all that it needs to resume.

    iteration: 0 (start image) .. epochs.
    scale: 1 (coarsest) .. number of scales. Costs of different scales are not comparable.
    seconds: of work since the run began, the measuring of the targets included; of a resumed run
        without the time between.
    costs: of the image of this iteration.
    state: of the optimizer, which holds the image, as it is or saved. It is good until two more
        steps were made: ``state.saved()`` before that. None where the position is not to be saved
        (from a worker of a cluster).
    anchor: (H, W, 3) float32, the picture at the start of the scale, where J depends on it: in a
        run whose style loss matches positions, after the first scale. None for others.
    """

    iteration: int
    scale: int
    seconds: float
    costs: Costs
    state: OptimizerState | SavedState | None
    anchor: np.ndarray | None = None


@dataclass(frozen=True)
class Step:
    """The picture after an iteration: ``iteration`` evaluations of the cost after the start image.

    epochs: the last iteration. scales: how many there are. source: of ``image``.
    """

    position: Position
    epochs: int
    scales: int
    source: LazyImage | np.ndarray | None

    @property
    def image(self) -> np.ndarray | None:
        """(H, W, 3) float32, sRGB, 0..255, of the size of the scale.

        None where no frame is due (from a worker of a cluster).
        """
        return self.source.array if isinstance(self.source, LazyImage) else self.source

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
        image = self.image
        assert image is not None
        return image

    def without_state(self) -> "Step":
        """The same step without the memory of the optimizer's state."""
        return replace(self, position=replace(self.position, state=None, anchor=None))
