"""How long a run will still take, from the iterations that it made just now."""

from nst import pyramid
from nst.settings import Settings
from nst.step import Step

RECENT = 20  # iterations that foretell the rest


class Pace:
    """Follows one run. An iteration of a finer scale takes longer, by its number of pixels."""

    def __init__(self, settings: Settings, size: tuple[int, int]) -> None:
        """Prepare for a picture of ``size``, (height, width)."""
        factors = pyramid.factors(settings, size)
        shares = pyramid.iterations(settings, len(factors))
        self._work = [0.0]  # of all the iterations up to each
        for factor, iterations in zip(factors, shares):
            self._work += [self._work[-1] + factor**2 * n for n in range(1, len(iterations) + 1)]
        self._recent: list[tuple[float, float]] = []  # work and seconds

    def left(self, step: Step) -> float | None:
        """Seconds that are left after a step, None before there is anything to tell by.

        To be asked for every step, in order.
        """
        done = self._work[step.iteration + 1]
        self._recent = [*self._recent[-RECENT:], (done, step.seconds)]
        (before, began), (after, now) = self._recent[0], self._recent[-1]
        if after <= before:
            return None
        return (self._work[-1] - done) * (now - began) / (after - before)
