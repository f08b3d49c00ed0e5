"""Estimate the time that a run will still take, from its latest iterations."""

from nst.engine.scales import scale_factors, scale_iterations
from nst.engine.step import Step
from nst.settings import Settings

RECENT = 20  # iterations that the estimate is made from


class TimeLeft:
    """Follows one run. An iteration of a finer scale takes longer, by its number of pixels."""

    def __init__(self, settings: Settings, size: tuple[int, int]) -> None:
        """Prepare for a picture of ``size``, (height, width)."""
        factors = scale_factors(settings, size)
        self._work = [0.0]  # sum over the iterations up to each
        for factor, iterations in zip(factors, scale_iterations(settings, len(factors))):
            self._work += [self._work[-1] + factor**2 * n for n in range(1, len(iterations) + 1)]
        self._recent: list[tuple[float, float]] = []  # work and seconds

    def after(self, step: Step) -> float | None:
        """Seconds that are left after a step, None while there are too few to estimate from.

        To be called for every step, in order.
        """
        done = self._work[step.iteration + 1]
        self._recent = [*self._recent[-RECENT:], (done, step.seconds)]
        (first_work, first_seconds), (last_work, last_seconds) = self._recent[0], self._recent[-1]
        if last_work <= first_work:
            return None
        pace = (last_seconds - first_seconds) / (last_work - first_work)
        return (self._work[-1] - done) * pace
