"""Coarse to fine: at which sizes a picture is painted, and for how many iterations.

The network sees some 150 pixels at once, so strokes that it can paint are small in a large picture.
Painted small first, they grow with the picture, and the finer scales add what they see.

The style loss has the numbers (``nst.style_losses.Schedule``). With some a last pass at full size
follows in rounds, each of which counts as a scale.
"""

import math

from nst.settings import Settings
from nst.style_losses import Schedule

LESS = 0.6  # iterations of a scale as a fraction of those of the coarser one, which cost a quarter


def scale_factors(settings: Settings, size: tuple[int, int]) -> list[float]:
    """Return the scale factors for a picture of ``size``, from the coarsest to 1.

    A number of scales halves the size so often; ``auto`` starts at about the coarsest size of the
    schedule, in steps of about 2. There are never more scales than iterations, nor than the picture
    can be halved. The rounds of a last pass follow, each with the factor 1.
    """
    schedule, long_side = settings.loss.schedule, max(size)
    rounds = last_rounds(settings)
    if isinstance(settings.scales, int):
        ratio, count = 2.0, settings.scales
    else:
        enlargement = long_side / schedule.coarsest
        steps = max(0, round(math.log2(enlargement)))
        ratio = schedule.ratio or (enlargement ** (1 / steps) if steps else 1.0)
        count = min(1 + steps, schedule.most or 1 + steps)
    count = max(1, min(count, settings.epochs - rounds, 1 + int(math.log2(long_side))))
    return [ratio**-number for number in reversed(range(count))] + [1.0] * rounds


def is_extendable(settings: Settings, size: tuple[int, int]) -> bool:
    """Whether a run of more epochs begins with the iterations of ``settings``, the same ones.

    Several scales, and the rounds of a last pass, share the epochs.
    """
    return not settings.loss.schedule.rounds and len(scale_factors(settings, size)) == 1


def last_rounds(settings: Settings) -> int:
    """How many of the scales, at the end, are rounds of the last pass."""
    schedule = settings.loss.schedule
    return min(schedule.rounds, settings.epochs // schedule.epochs_per_round)


def scale_iterations(settings: Settings, count: int) -> list[range]:
    """Share the iterations 0 .. epochs among ``count`` scales, coarsest first.

    Iteration 0 evaluates the start image; that of every further scale is one of its iterations.
    """
    rounds = last_rounds(settings)
    shares = _scale_shares(settings.loss.schedule, count - rounds)
    shares += [settings.loss.schedule.last_share / max(1, rounds)] * rounds
    rest = settings.epochs - count  # every scale has at least one
    first, iterations = 0, []
    for number in range(count):
        done = sum(shares[: number + 1]) / sum(shares)
        iterations.append(range(first, number + 2 + round(rest * done)))
        first = iterations[-1].stop
    return iterations


def _scale_shares(schedule: Schedule, count: int) -> list[float]:
    """Iterations of the scales before the last pass, in proportion."""
    if schedule.shares is None:
        return [LESS**number for number in range(count)]
    more = (schedule.shares[0],) * (count - len(schedule.shares))
    return [*more, *schedule.shares[:count]]
