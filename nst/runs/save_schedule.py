"""When frames and checkpoints of a run are due."""

from nst.engine.step import Step

SECONDS = 30  # of work that may be lost at most, but for what a single iteration takes


class SaveSchedule:
    """Frames every ``print_every`` iterations; checkpoints then, and every 30 s of work."""

    def __init__(self, print_every: int, seconds: float = 0.0) -> None:
        """Begin. seconds: of work when the run was saved last."""
        self.print_every = print_every
        self._saved = self._before = seconds

    def frame(self, step: Step) -> bool:
        """Whether the image of a step is to be saved."""
        return step.iteration > 0 and step.iteration % self.print_every == 0

    def checkpoint(self, step: Step) -> bool:
        """Whether the position of a step is to be saved; to be asked once for each step."""
        duration, self._before = step.seconds - self._before, step.seconds
        late = step.seconds + duration - self._saved > SECONDS  # after one more like this one
        if step.is_last or not (late or self.frame(step)):
            return False
        self._saved = step.seconds
        return True
