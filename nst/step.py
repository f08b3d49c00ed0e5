"""The record of one iteration, which frames, log, progress and tests read."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Costs(NamedTuple):
    """J = alpha J_content + beta J_style + tv_weight J_tv, and its unweighted parts."""

    total: float
    content: float
    style: float
    tv: float


@dataclass(frozen=True)
class Step:
    """The picture after ``iteration`` steps of the optimizer, and the costs of this picture.

    iteration: 0 (start image) .. epochs.
    scale: number of the scale that is worked on, from 1.
    image: (H, W, 3) float32, sRGB, 0..255.
    seconds: since the run began, the measuring of the targets and the consumer's work included.
    """

    iteration: int
    epochs: int
    scale: int
    image: np.ndarray
    costs: Costs
    seconds: float
