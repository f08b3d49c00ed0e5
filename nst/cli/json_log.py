"""``--log_json``: one JSON object on a line of standard output for each event.

The objects follow ``nst/cli/events.schema.json``.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nst.cli.console import ResultStream
from nst.engine.step import Step
from nst.errors import ExitCode
from nst.runs.batch import Batch, BatchForecast, Outcome, Task
from nst.runs.folder import RunFolder
from nst.runs.progress import Progress
from nst.settings import Settings


class JSONLog(Progress):
    """Writes the events. remark: gets a line for the user if they can no longer be written."""

    def __init__(self, settings: Settings, remark: Callable[[str], None]) -> None:
        self._settings, self._remark = settings, remark
        self._out = ResultStream(sys.stdout)

    def live(self, url: str, note: str = "") -> None:
        """Event ``live``."""
        self._event("live", url=url)

    def plan(self, batch: Batch) -> None:
        """Event ``plan``."""
        self._event(
            "plan",
            jobs=len(batch.tasks),
            left_out=_reasons(batch.left_out),
            broken=_reasons(batch.broken),
            left_alone=batch.left_alone.total,
        )

    def forecast(self, batch: Batch, forecast: BatchForecast) -> None:
        """Event ``foreseen``."""
        self._event(
            "foreseen",
            seconds=round(forecast.seconds),
            memory_bytes=round(forecast.memory),
            finished=sorted(forecast.finished),
            refused=[{"job": job, "reason": why} for job, why in forecast.refusals.items()],
        )

    def start(self, task: Task, folder: RunFolder) -> None:
        """Event ``start``."""
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
        if step.iteration % self._settings.print_every and not step.is_last:
            return
        self._event(
            "step",
            job=task.number,
            iteration=step.iteration,
            epochs=step.epochs,
            scale=step.scale,
            scales=step.scales,
            **step.costs.named(),
            seconds=round(step.seconds, 3),
        )

    def end(self, outcome: Outcome) -> None:
        """Event ``end``."""
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
        counts = dict.fromkeys(("finished", "skipped", "failed"), 0)
        for outcome in outcomes:
            counts[outcome.status] += 1
        counts["failed"] += len(batch.broken)
        self._event("summary", **counts, gallery=str(gallery) if gallery else None)

    def fail(self, message: str, code: ExitCode) -> None:
        """Event ``error``: why the program ends."""
        self._event("error", message=message, exit_code=int(code))

    def _event(self, name: str, **values: Any) -> None:
        when = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        if remark := self._out.write(json.dumps({"event": name, "time": when, **values})):
            self._remark(remark)


def _reasons(files: dict[Path, str]) -> list[dict[str, str]]:
    return [{"file": str(path), "reason": reason} for path, reason in files.items()]
