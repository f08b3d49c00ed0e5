"""Coarse to fine: at which sizes a picture is painted, and for how many iterations.

The network sees some 150 pixels at once, so strokes that it can paint are small in a large picture.
Painted small first, they grow with the picture, and the finer scales add what they see.

With the style loss ``neighbours`` the last pass at full size follows in rounds, each of which
counts as a scale: it looks for its own targets.
"""

import math

from nst.settings import NEIGHBOURS, Settings

# Pixels of the long side where ``auto`` starts. Starting at 200 reaches a low cost sooner, but the
# content dissolves in strokes as large as its parts.
COARSEST = 400
LESS = 0.6  # iterations of a scale as a fraction of those of the coarser one, which cost a quarter

# Of the style loss ``neighbours``:
COARSEST_NEIGHBOURS = 64  # likewise
NEIGHBOURS_SCALES = 4  # of ``auto`` at most
SHARES = (40, 40, 30, 24)  # iterations of the scales, in proportion; the first of further ones
LAST_SHARE = 25  # likewise, of the last pass
ROUNDS = 5  # of the last pass
FEWEST = 8  # iterations a round, on the average of the run


def scale_factors(settings: Settings, size: tuple[int, int]) -> list[float]:
    """Return the scale factors for a picture of ``size``, from the coarsest to 1.

    A number of scales halves the size so often; ``auto`` starts at about COARSEST pixels, in steps
    of about 2. There are never more scales than iterations, nor than the picture can be halved.
    The rounds of a last pass follow, each with the factor 1.
    """
    long_side = max(size)
    rounds = last_rounds(settings)
    if isinstance(settings.scales, int):
        ratio, count = 2.0, settings.scales
    elif settings.style_loss == NEIGHBOURS:
        steps = round(math.log2(long_side / COARSEST_NEIGHBOURS))
        ratio, count = 2.0, min(NEIGHBOURS_SCALES, 1 + max(0, steps))
    else:
        steps = max(0, round(math.log2(long_side / COARSEST)))
        ratio = (long_side / COARSEST) ** (1 / steps) if steps else 1.0
        count = 1 + steps
    count = max(1, min(count, settings.epochs - rounds, 1 + int(math.log2(long_side))))
    return [ratio**-number for number in reversed(range(count))] + [1.0] * rounds


def is_extendable(settings: Settings, size: tuple[int, int]) -> bool:
    """Whether a run of more epochs begins with the iterations of ``settings``, the same ones.

    Several scales, and the rounds of a last pass, share the epochs.
    """
    return settings.style_loss != NEIGHBOURS and len(scale_factors(settings, size)) == 1


def last_rounds(settings: Settings) -> int:
    """How many of the scales, at the end, are rounds of the last pass."""
    return min(ROUNDS, settings.epochs // FEWEST) if settings.style_loss == NEIGHBOURS else 0


def scale_iterations(settings: Settings, count: int) -> list[range]:
    """Share the iterations 0 .. epochs among ``count`` scales, coarsest first.

    Iteration 0 evaluates the start image; that of every further scale is one of its iterations.
    """
    shares = [LESS**number for number in range(count)]
    if settings.style_loss == NEIGHBOURS:
        rounds = last_rounds(settings)
        scales = count - rounds
        more = (float(SHARES[0]),) * (scales - len(SHARES))
        shares = [*more, *SHARES[:scales], *[LAST_SHARE / max(1, rounds)] * rounds]
    rest = settings.epochs - count  # every scale has at least one
    first, iterations = 0, []
    for number in range(count):
        done = sum(shares[: number + 1]) / sum(shares)
        iterations.append(range(first, number + 2 + round(rest * done)))
        first = iterations[-1].stop
    return iterations
