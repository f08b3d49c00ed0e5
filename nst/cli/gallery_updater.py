"""Keep the page of the output folder up to date while a command makes pictures."""

import time
from collections.abc import Callable
from pathlib import Path

from nst.pages.gallery import is_outdated_by, write_gallery
from nst.runs.batch import Batch, Outcome, Task
from nst.runs.folder import RunFolder
from nst.runs.progress import Progress

SECONDS = 60  # between two versions of a growing gallery


class GalleryUpdater(Progress):
    """Collects the outcomes of a command, and writes the gallery.

    remark: gets lines for the user.
    """

    def __init__(self, batch: Batch, remark: Callable[[str], None]) -> None:
        self._remark = remark
        self.outcomes: list[Outcome] = []
        self._batch = batch
        self._begun = False  # whether a picture was begun
        self._written = time.monotonic()

    def start(self, task: Task, folder: RunFolder) -> None:
        """The gallery will show this run, however it ends."""
        self._begun = True

    def end(self, outcome: Outcome) -> None:
        """Take an outcome; write the gallery of a growing batch from time to time."""
        self.outcomes.append(outcome)
        if self._batch.several and time.monotonic() - self._written > SECONDS:
            self._write()

    def write(self) -> Path | None:
        """Write the gallery, at the end, where a picture was begun or a run is missing in it.

        Returns where it is, None if nothing was written. Raises OutputError.
        """
        return self._write(self._remark)

    def _write(self, remark: Callable[[str], None] | None = None) -> Path | None:
        self._written = time.monotonic()
        folders = [outcome.folder for outcome in self.outcomes if outcome.folder]
        if self._begun or self._batch.several or any(map(is_outdated_by, folders)):
            return write_gallery(Path(self._batch.settings.output_dir), remark)
        return None
