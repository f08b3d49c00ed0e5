"""What a user sees: results on standard output, remarks and progress bars on standard error."""

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from nst.cli.time_left import TimeLeft
from nst.engine.step import Step
from nst.errors import ExitCode
from nst.runs.batch import Batch, BatchForecast, Outcome, Task
from nst.runs.folder import RunFolder
from nst.runs.progress import Progress
from nst.settings import Settings
from nst.text import count_text, duration_text, memory_text, printable, red


class _Bar(tqdm):
    """A bar that can be given the seconds that are left, where the pace is not steady."""

    FORMAT = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"
    left: float | None = None

    @property
    def format_dict(self) -> dict[str, Any]:
        """The values that a bar is drawn from."""
        values = super().format_dict
        if self.left is not None:
            time_left = self.format_interval(self.left)
            values["bar_format"] = self.FORMAT.replace("{remaining}", time_left)
        return values


class ResultStream:
    """Standard output for results, above the progress bars; the run outlives its reader."""

    def __init__(self, stream: TextIO) -> None:
        # Ray, while it is connected, replaces sys.stdout and prints what it likes there.
        self._stream = stream

    def write(self, line: str) -> str:
        """Print a line; return a remark if that failed and printing ends here."""
        try:
            tqdm.write(printable(line), file=self._stream)
            self._stream.flush()
        except OSError as error:  # the reader (head, less) is gone, or the disk of a log is full;
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())  # go on without it
            if not isinstance(error, BrokenPipeError):
                return f"standard output cannot be written ({error.strerror}); going on without it"
        return ""


class Console(Progress):
    """Lines and bars for people.

    quiet: errors only. results: print results to standard output; False leaves it to JSON events.
    """

    def __init__(self, settings: Settings, quiet: bool = False, results: bool = True) -> None:
        self.settings = settings
        self.quiet = quiet
        self.results = results
        self._out, self._err = ResultStream(sys.stdout), sys.stderr
        self._several = False
        self._total = 1
        self._bars: dict[str, _Bar] = {}
        self._time_left: TimeLeft | None = None
        self._has_head = False

    def plan(self, batch: Batch) -> None:
        """Print how many pictures there are, and the files that cannot be read."""
        self._several, self._total = batch.several, len(batch.tasks)
        if not batch.several:
            return
        contents = len({task.content for task in batch.tasks})
        styles = len({task.styles for task in batch.tasks})
        self.say(f"Batch     {count_text(contents, 'content')} x {count_text(styles, 'style')}")
        for path, reason in batch.left_out.items():
            self.say(f"{path}: {reason} (left out)")
        for path, reason in batch.broken.items():
            self._complain(f"{path}: {reason}")
        if batch.left_alone.total:
            self.say(f"          {batch.left_alone.text()} left alone")

    def forecast(self, batch: Batch, forecast: BatchForecast) -> None:
        """Print the size of every picture of a batch, and the time and memory of all of them."""
        if not batch.several:
            return  # the lines about the picture say it
        for task, (width, height) in zip(batch.tasks, forecast.sizes):
            note = forecast.refusals.get(task.number, "")
            if task.number in forecast.finished:
                note = "finished earlier"
            self._print(f"{task.number:7}  {task.name}, {width} x {height}  {note}".rstrip())
        left = len(batch.tasks) - len(forecast.finished) - len(forecast.refusals)
        self._print(f"Memory    up to about {memory_text(forecast.memory)}")
        self._print(f"Time      about {duration_text(forecast.seconds)} for {left} pictures")

    def start(self, task: Task, folder: RunFolder) -> None:
        """Show the bar of a picture, or of a batch."""
        self._time_left = TimeLeft(folder.job.settings, folder.job.size)
        if self._several:
            self.say(f"{task.number} of {self._total}: {task.name} -> {folder.path}")
            if not self.quiet and "batch" not in self._bars:
                self._bar("batch", self._total, 0)
        elif not self.quiet:  # the first iteration takes longest
            self._bar("picture", folder.job.settings.epochs, folder.saved or 0, "preparing")

    def step(self, task: Task, step: Step) -> None:
        """Move the bar; print the costs every ``print_every`` iterations and at the end."""
        if self.quiet:
            return
        costs = step.costs
        if not self.settings.cluster or not self._several:  # else there are several at a time
            text = f"J {costs.total:.2e}, content {costs.content:.2e}, style {costs.style:.2e}"
            if step.scales > 1:
                text = f"scale {step.scale}/{step.scales}, {text}"
            self._bar("picture", step.epochs, step.iteration, text)
            if self._time_left:
                self._bars["picture"].left = self._time_left.after(step)
        if step.iteration % self.settings.print_every == 0 or step.is_last:
            self._print_costs(task, step)

    def _print_costs(self, task: Task, step: Step) -> None:
        """Print a row of the table of costs, with its head if it is the first."""
        heads, cells = ["iteration"], [f"{step.iteration:9}"]
        if self._several:
            heads.insert(0, f"{'picture':>7}")
            cells.insert(0, f"{task.number:7}")
        if step.scales > 1 or (self._several and self.settings.scales != 1):
            heads.append(f"{'scale':>5}")
            cells.append(f"{step.scale:5}")
        for name, cost in step.costs.named().items():
            if name != "J_tv" or self.settings.tv_weight:
                heads.append(f"{name:>10}")
                cells.append(f"{cost:10.4e}")
        if not self._has_head:
            self._print("  ".join(heads))
            self._has_head = True
        self._print("  ".join(cells))

    def end(self, outcome: Outcome) -> None:
        """Print where the picture is, or why it failed."""
        if "picture" in self._bars:
            self._bars.pop("picture").close()
        if not self._several:
            again = ""
            if outcome.status == "skipped":
                again = " (finished earlier; --overwrite starts again)"
            self._print(f"Picture   {outcome.picture}{again}")
            return
        if outcome.status == "failed":
            self._complain(f"{outcome.task.number} of {self._total}: {outcome.error}")
        if not self.quiet:
            self._bar("batch", self._total, None)

    def summary(self, batch: Batch, outcomes: Sequence[Outcome], gallery: Path | None) -> None:
        """Print the outcome of each picture of a batch."""
        if not batch.several:
            return
        self.close()
        width = max((len(printable(outcome.task.name)) for outcome in outcomes), default=0)
        for outcome in sorted(outcomes, key=lambda outcome: outcome.task.number):
            name = f"{outcome.task.number:7}  {printable(outcome.task.name):{width}}"
            if outcome.status == "failed":
                self._print(f"{name}  failed: {outcome.error}")
            else:
                status = "finished earlier" if outcome.status == "skipped" else "finished"
                self._print(f"{name}  {status}: {outcome.picture}")
        for path, reason in batch.broken.items():
            self._print(f"{'':7}  {path}  failed: {reason}")
        self._print(_counts(batch, outcomes))
        if gallery:
            self._print(f"Gallery   {gallery}")

    def fail(self, message: str, code: ExitCode) -> None:
        """Print an error on one line, whatever the file names in it hold."""
        self.close()
        with contextlib.suppress(OSError):
            line = red(f"nst_main.py: error: {printable(message)}", self._err)
            print(line, file=self._err, flush=True)

    def say(self, line: str) -> None:
        """Print a remark to stderr, above the progress bars."""
        if not self.quiet:
            self._print_error(printable(line))

    def live(self, url: str, note: str = "") -> None:
        """Print where the live page is."""
        self.say(f"Live      {url}" + (f"  ({note})" if note else ""))

    def close(self) -> None:
        """Remove the bars."""
        while self._bars:
            self._bars.popitem()[1].close()

    def _complain(self, line: str) -> None:
        """Print an error that does not end the program."""
        self._print_error(red(printable(line), self._err))

    def _print_error(self, text: str) -> None:
        with contextlib.suppress(OSError):  # nobody reads it; the picture is wanted
            tqdm.write(text, file=self._err)

    def _bar(self, name: str, total: int, position: int | None, text: str = "") -> None:
        """Move a progress bar to a number, or by one."""
        if name not in self._bars:
            self._bars[name] = _Bar(
                total=total,
                disable=None,
                leave=False,
                dynamic_ncols=True,
                file=self._err,
                position=int(name == "picture" and self._several),
                unit=" pictures" if name == "batch" else "it",
                postfix=text,
            )
        bar = self._bars[name]
        bar.set_postfix_str(text, refresh=False)
        bar.update(1 if position is None else position - bar.n)

    def _print(self, line: str) -> None:
        """Print a result to stdout."""
        if self.results and not self.quiet and (remark := self._out.write(line)):
            self.say(remark)


def _counts(batch: Batch, outcomes: Sequence[Outcome]) -> str:
    statuses = [outcome.status for outcome in outcomes]
    counts = {
        "finished": statuses.count("finished"),
        "finished earlier": statuses.count("skipped"),
        "failed": statuses.count("failed") + len(batch.broken),
        "left out as unreadable": len(batch.left_out),
    }
    return "Pictures  " + ", ".join(
        f"{number} {words}" for words, number in counts.items() if number
    )
