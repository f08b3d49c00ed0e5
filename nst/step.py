"""The record of one iteration, which frames, log, progress and tests read."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Costs(NamedTuple):
    """J = alpha J_content + beta J_style + tv_weight J_tv, and its unweighted parts.

    A part whose weight is 0 is not computed and is 0, but for J_tv.
    """

    total: float
    content: float
    style: float
    tv: float


@dataclass(frozen=True)
class Step:
    """The picture after ``iteration`` evaluations of the cost, and the costs of this picture.

    iteration: 0 (start image) .. epochs.
    scale: number of the scale that is worked on, 1 (coarsest) .. scales. Costs of different scales
        are not comparable.
    image: (H, W, 3) float32, sRGB, 0..255, of the size of the scale.
    seconds: since the run began, the measuring of the targets and the consumer's work included.
    """

    iteration: int
    epochs: int
    scale: int
    scales: int
    image: np.ndarray
    costs: Costs
    seconds: float
