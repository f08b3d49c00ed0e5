"""What a user sees: results on standard output, remarks and progress bars on standard error."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nst.batch import Batch, Foreseen, Outcome, Task
from nst.errors import ExitCode
from nst.pace import Pace
from nst.plan import duration_text, memory_text
from nst.run_folder import RunFolder
from nst.settings import Settings
from nst.step import Step
from nst.terminal import red


class _Bar(tqdm):
    """A bar that is told the seconds that are left, where they are not those of a steady pace."""

    FORMAT = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"
    left: float | None = None

    @property
    def format_dict(self) -> dict[str, Any]:
        """What a bar is made of."""
        found = super().format_dict
        if self.left is not None:
            time_left = self.format_interval(self.left)
            found["bar_format"] = self.FORMAT.replace("{remaining}", time_left)
        return found


class Console:
    """Lines and bars for people."""

    def __init__(self, settings: Settings, quiet: bool = False) -> None:
        self.settings = settings
        self.quiet = quiet
        # Ray, while it is connected, gets others: it prints what it likes.
        self._out, self._err = sys.stdout, sys.stderr
        self._several = False
        self._total = 1
        self._bars: dict[str, tqdm] = {}
        self._pace: Pace | None = None
        self._has_head = False

    def plan(self, batch: Batch) -> None:
        """Tell what is about to be done."""
        self._several, self._total = batch.several, len(batch.tasks)
        if not batch.several:
            return
        contents = len({task.content for task in batch.tasks})
        styles = len({task.styles for task in batch.tasks})
        self.say(f"Batch     {_count(contents, 'content')} x {_count(styles, 'style')}")
        for path, reason in batch.left_out.items():
            self.say(f"{path}: {reason} (left out)")
        for path, reason in batch.broken.items():
            self._complain(f"{path}: {reason}")
        if batch.others:
            self.say(f"          {_count(batch.others, 'other file')} in the folders left alone")

    def foretell(self, batch: Batch, foreseen: Foreseen) -> None:
        """Tell what every picture of a batch will be, and what they will take."""
        if not batch.several:
            return  # the lines about the picture have told it
        for task, (width, height) in zip(batch.tasks, foreseen.sizes):
            note = foreseen.refusals.get(task.number, "")
            if task.number in foreseen.finished:
                note = "finished earlier"
            self._print(f"{task.number:7}  {task.name}, {width} x {height}  {note}".rstrip())
        left = len(batch.tasks) - len(foreseen.finished) - len(foreseen.refusals)
        self._print(f"Memory    up to about {memory_text(foreseen.memory)}")
        self._print(f"Time      about {duration_text(foreseen.seconds)} for {left} pictures")

    def start(self, task: Task, folder: RunFolder) -> None:
        """A picture is begun, or gone on with."""
        self._pace = Pace(folder.job.settings, folder.job.size)
        if self._several:
            self.say(f"{task.number} of {self._total}: {task.name} -> {folder.path}")
            if not self.quiet and "batch" not in self._bars:
                self._bar("batch", self._total, 0)
        elif not self.quiet:  # the first iteration takes longest
            self._bar("picture", folder.job.settings.epochs, folder.saved or 0, "preparing")

    def step(self, task: Task, step: Step) -> None:
        """An iteration is done."""
        if self.quiet:
            return
        costs = step.costs
        scales = step.scales > 1 or (self._several and self.settings.scales != 1)
        of = f"scale {step.scale}/{step.scales}, " if step.scales > 1 else ""
        parts = f"content {costs.content:.2e}, style {costs.style:.2e}"
        if not self.settings.cluster or not self._several:  # else there are several at a time
            self._bar("picture", step.epochs, step.iteration, f"{of}J {costs.total:.2e}, {parts}")
            self._bars["picture"].left = self._pace.left(step)
        if step.iteration % self.settings.print_every and step.iteration != step.epochs:
            return
        columns = ["J", "J_content", "J_style", *(["J_tv"] if self.settings.tv_weight else [])]
        if not self._has_head:
            heads = [f"{'picture':>7}"] * self._several + ["iteration"] + [f"{'scale':>5}"] * scales
            self._print("  ".join([*heads, *(f"{name:>10}" for name in columns)]))
            self._has_head = True
        cells = [f"{task.number:7}"] * self._several + [f"{step.iteration:9}"]
        cells += [f"{step.scale:5}"] * scales
        cells += [f"{cost:10.4e}" for cost, _ in zip(costs, columns)]
        self._print("  ".join(cells))

    def end(self, outcome: Outcome) -> None:
        """A picture is finished, was so already, or failed."""
        if "picture" in self._bars:
            self._bars.pop("picture").close()
        if not self._several:
            again = " (finished earlier; --overwrite starts again)"
            self._print(f"Picture   {outcome.picture}{again * (outcome.status == 'skipped')}")
            return
        if outcome.status == "failed":
            self._complain(f"{outcome.task.number} of {self._total}: {outcome.error}")
        if not self.quiet:
            self._bar("batch", self._total, None)

    def summary(self, batch: Batch, outcomes: Sequence[Outcome], gallery: Path | None) -> None:
        """Tell what became of a batch."""
        if not batch.several:
            return
        self.close()
        width = max((len(_printable(outcome.task.name)) for outcome in outcomes), default=0)
        for outcome in sorted(outcomes, key=lambda outcome: outcome.task.number):
            name = f"{outcome.task.number:7}  {_printable(outcome.task.name):{width}}"
            if outcome.status == "failed":
                self._print(f"{name}  failed: {outcome.error}")
            else:
                was = "finished earlier" if outcome.status == "skipped" else "finished"
                self._print(f"{name}  {was}: {outcome.picture}")
        for path, reason in batch.broken.items():
            self._print(f"{'':7}  {path}  failed: {reason}")
        self._print(_counts(batch, outcomes))
        if gallery:
            self._print(f"Gallery   {gallery}")

    def fail(self, error: str, code: ExitCode) -> None:
        """Print an error on one line, whatever the file names in it hold."""
        self.close()
        with contextlib.suppress(OSError):
            line = red(f"nst_main.py: error: {_printable(error)}", self._err)
            print(line, file=self._err, flush=True)

    def say(self, line: str) -> None:
        """Print a remark to stderr, above the progress bars."""
        if not self.quiet:
            self._tell(_printable(line))

    def _complain(self, line: str) -> None:
        """Print an error that does not end the program."""
        self._tell(red(_printable(line), self._err))

    def _tell(self, text: str) -> None:
        with contextlib.suppress(OSError):  # nobody reads it; the picture is wanted
            tqdm.write(text, file=self._err)

    def live(self, url: str) -> None:
        """Tell where the live view is."""
        self.say(f"Live      {url}")

    def close(self) -> None:
        """Remove the bars."""
        while self._bars:
            self._bars.popitem()[1].close()

    def _bar(self, name: str, total: int, at: int | None, text: str = "") -> None:
        """Move a progress bar to a number, or by one."""
        if name not in self._bars:
            position = int(name == "picture" and self._several)
            options = {"total": total, "disable": None, "leave": False, "dynamic_ncols": True}
            options["file"] = self._err
            unit = " pictures" if name == "batch" else "it"
            self._bars[name] = _Bar(**options, position=position, unit=unit, postfix=text)
        bar = self._bars[name]
        bar.set_postfix_str(text, refresh=False)
        bar.update(1 if at is None else at - bar.n)

    def _print(self, line: str) -> None:
        """Print a result to stdout, above the progress bars."""
        if self.quiet:
            return
        try:
            tqdm.write(_printable(line), file=self._out)
            self._out.flush()
        except OSError as error:  # the reader (head, less) is gone, or the disk of a log is full;
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._out.fileno())  # go on without it
            if not isinstance(error, BrokenPipeError):
                self.say(
                    f"standard output cannot be written ({error.strerror}); going on without it"
                )


class JSONLog(Console):
    """One JSON object on a line of standard output for each event (nst/events.schema.json)."""

    def live(self, url: str) -> None:
        """Event ``live``."""
        super().live(url)
        self._event("live", url=url)

    def plan(self, batch: Batch) -> None:
        """Event ``plan``."""
        super().plan(batch)
        files = {"left_out": batch.left_out, "broken": batch.broken}
        lists = {
            name: [{"file": str(path), "reason": reason} for path, reason in found.items()]
            for name, found in files.items()
        }
        self._event("plan", jobs=len(batch.tasks), **lists)

    def foretell(self, batch: Batch, foreseen: Foreseen) -> None:
        """Event ``foreseen``."""
        self._event(
            "foreseen",
            seconds=round(foreseen.seconds),
            memory_bytes=round(foreseen.memory),
            finished=sorted(foreseen.finished),
            refused=[{"job": job, "reason": why} for job, why in foreseen.refusals.items()],
        )

    def start(self, task: Task, folder: RunFolder) -> None:
        """Event ``start``."""
        super().start(task, folder)
        self._event(
            "start",
            job=task.number,
            content=str(task.content) if task.content else None,
            styles=list(map(str, task.styles)),
            folder=str(folder.path),
            goes_on_after=folder.saved,
        )

    def step(self, task: Task, step: Step) -> None:
        """Event ``step``, every ``print_every`` iterations and at the end."""
        if step.iteration % self.settings.print_every and step.iteration != step.epochs:
            return
        names = ("iteration", "epochs", "scale", "scales")
        self._event(
            "step",
            job=task.number,
            **{name: getattr(step, name) for name in names},
            **step.costs.named(),
            seconds=round(step.seconds, 3),
        )

    def end(self, outcome: Outcome) -> None:
        """Event ``end``."""
        super().end(outcome)
        self._event(
            "end",
            job=outcome.task.number,
            status=outcome.status,
            folder=str(outcome.folder) if outcome.folder else None,
            picture=str(outcome.picture) if outcome.picture else None,
            seconds=round(outcome.seconds, 3),
            error=outcome.error,
            exit_code=int(outcome.exit_code),
        )

    def summary(self, batch: Batch, outcomes: Sequence[Outcome], gallery: Path | None) -> None:
        """Event ``summary``."""
        self.close()
        counted = dict.fromkeys(("finished", "skipped", "failed"), 0)
        for outcome in outcomes:
            counted[outcome.status] += 1
        counted["failed"] += len(batch.broken)
        self._event("summary", **counted, gallery=str(gallery) if gallery else None)

    def fail(self, error: str, code: ExitCode) -> None:
        """Event ``error``: why the program ends."""
        super().fail(error, code)
        self._event("error", message=error, exit_code=int(code))

    def _event(self, name: str, **values: Any) -> None:
        when = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        super()._print(json.dumps({"event": name, "time": when, **values}))

    def _print(self, line: str) -> None:
        """Lines for people are left out."""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _counts(batch: Batch, outcomes: Sequence[Outcome]) -> str:
    counted = [
        (sum(outcome.status == status for outcome in outcomes), words)
        for status, words in (("finished", "finished"), ("skipped", "finished earlier"))
    ]
    failed = sum(outcome.status == "failed" for outcome in outcomes) + len(batch.broken)
    counted += [(failed, "failed"), (len(batch.left_out), "left out as unreadable")]
    return "Pictures  " + ", ".join(f"{number} {words}" for number, words in counted if number)


def _printable(text: str) -> str:
    """Show line ends and control characters of file names as escapes."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
