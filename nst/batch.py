"""Many pictures: every content in every style, planned before the first is made."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nst import images, inputs, jobs
from nst import plan as forecasts
from nst.errors import (
    ExitCode,
    FullError,
    MemoryLimitError,
    NSTError,
    OutputError,
    UsageError,
    WeightsError,
)
from nst.inputs import Found
from nst.jobs import MASKS, Job, is_mixed
from nst.place import folder_name, folder_names
from nst.plan import Forecast
from nst.run_folder import RunFolder
from nst.settings import START_WORDS, Settings
from nst.weights import WeightsFile

if TYPE_CHECKING:  # it imports TensorFlow, which takes seconds
    from nst.studio import Studio


@dataclass(frozen=True)
class Task:
    """One picture of a batch, of which nothing was read yet.

    number: from 1. content: its file, None for a texture. styles: files; several are mixed.
    style_masks: files, one for each style, or none. size, style_sizes: (width, height) of files.
    name: what is painted how, for a user.
    """

    number: int
    content: Path | None
    styles: tuple[Path, ...]
    style_masks: tuple[str, ...] | None
    size: tuple[int, int] | None
    style_sizes: tuple[tuple[int, int], ...]
    name: str

    def settings(self, common: Settings) -> Settings:
        """The settings of its job."""
        return replace(
            common,
            content_image_filename=str(self.content) if self.content else None,
            style_image_filename=tuple(map(str, self.styles)) or common.style_image_filename,
            style_mask=self.style_masks,
        )


@dataclass(frozen=True)
class Outcome:
    """What became of a task; it holds no pixels, as there may be many.

    status: ``finished``, ``skipped`` (finished earlier) or ``failed``. folder, picture: where
    the run and its result are. error, exit_code: why it failed.
    """

    task: Task
    status: str
    folder: Path | None = None
    picture: Path | None = None
    error: str | None = None
    exit_code: ExitCode = ExitCode.DONE
    seconds: float = 0.0


def made(task: Task, folder: RunFolder, seconds: float = 0.0) -> Outcome:
    """The outcome of a task whose picture is there."""
    status = "skipped" if folder.finished else "finished"
    return Outcome(task, status, folder.path, folder.picture, seconds=seconds)


@dataclass(frozen=True)
class Batch:
    """What a command asks for.

    several: whether to treat it as a batch; a single task of one content and one style is not.
    left_out: files of folders that cannot be read, with the reason. broken: likewise, of files that
    were named: each counts as a failed job. others: files of folders that are no pictures.
    """

    settings: Settings
    tasks: tuple[Task, ...]
    several: bool
    left_out: dict[Path, str] = field(default_factory=dict)
    broken: dict[Path, str] = field(default_factory=dict)
    others: int = 0

    def single_settings(self) -> Settings:
        """The settings of the only task; a file that was given alone keeps its name."""
        of_task = self.tasks[0].settings(self.settings)
        given = {
            name: getattr(self.settings, name)
            for name in ("content_image_filename", "style_image_filename")
            if len(getattr(self.settings, name) or ()) == 1
        }
        return replace(of_task, **given)


def plan(settings: Settings) -> Batch:
    """Find the pictures of ``settings`` and pair them, reading no more than the heads of files.

    Raises PictureError, UsageError or OutputError.
    """
    output_dir = Path(settings.output_dir)
    jobs.check(settings)
    contents, styles = Found(), Found()
    if settings.content_image_filename is not None:
        names = settings.content_image_filename
        contents = inputs.collect(names, "content_image_filename", output_dir)
    if settings.beta or settings.init == "style":
        names = settings.style_image_filename
        together = bool(is_mixed(settings) or settings.style_mask)
        styles = inputs.collect(names, "style_image_filename", output_dir, together)
    if settings.init not in START_WORDS:
        images.peek(images.find(settings.init, f"init ({', '.join(START_WORDS)}, or a file)"))
    of_styles = _of_styles(settings, styles)
    for setting in MASKS if settings.beta else ():
        for name in getattr(settings, setting) or ():
            images.peek(images.find(name, setting))
    tasks = []
    shown = [_shown(found) for found in (contents, styles)]
    for content, size in contents.pictures or [(None, None)]:
        for of_style, masks in of_styles:
            paths, sizes = tuple(zip(*of_style)) or ((), ())
            name = jobs.title(content and shown[0][content], [shown[1][path] for path in paths])
            tasks.append(Task(len(tasks) + 1, content, paths, masks, size, sizes, name))
    broken = contents.broken | styles.broken
    return Batch(
        settings,
        tuple(tasks),
        len(tasks) > 1 or contents.swept or styles.swept or bool(broken),
        contents.left_out | styles.left_out,
        broken,
        contents.others + styles.others,
    )


def _shown(found: Found) -> dict[Path, str]:
    """The names of files, or their paths if there are several of a name."""
    paths = {path for path, _ in found.pictures}
    alone = len({path.name for path in paths}) == len(paths)
    return {path: path.name if alone else str(path) for path in paths}


def _of_styles(
    settings: Settings, found: Found
) -> list[tuple[Sequence[tuple[Path, tuple[int, int]]], tuple[str, ...] | None]]:
    """The styles of each picture of one content, with their sizes, and with their masks."""
    styles, masks = found.pictures, settings.style_mask
    mixed = is_mixed(settings)
    if (unusable := found.broken | found.left_out) and (mixed or masks):
        (path, reason), *_ = unusable.items()
        raise UsageError(f"style_image_filename: {path}: {reason}")
    if styles:
        jobs.check_counts(settings, len(styles))
    if mixed or not styles:
        return [(styles, masks)]
    return [([style], masks and (masks[number],)) for number, style in enumerate(styles)]


@dataclass(frozen=True)
class Foreseen:
    """What a batch will take.

    sizes: (width, height) of the picture of each task. finished: numbers of those that are finished
    already. seconds: of work that is left. memory: bytes at the peak. refusals: why a task cannot
    be done.
    """

    sizes: list[tuple[int, int]]
    finished: set[int]
    seconds: float
    memory: float
    refusals: dict[int, str]


def foresee(batch: Batch, studio: "Studio") -> Foreseen:
    """Foretell time and memory of a batch, reading hashes of pictures only where it was begun."""
    settings, sizes, finished, refusals = batch.settings, [], set(), {}
    names = folder_names(Path(settings.output_dir))
    chosen, network = studio.precision(settings.precision), studio.network.network
    known: dict[tuple, list[Forecast] | MemoryLimitError] = {}
    seconds = memory = 0.0
    for task in batch.tasks:
        size, style_sizes = _sizes(task, settings)
        sizes.append(size)
        if _finished(task, batch, studio.file, names):
            finished.add(task.number)
            continue
        key = size, style_sizes
        if key not in known:
            styles = [(of_style[::-1], asked) for of_style, asked in style_sizes]
            try:
                known[key] = forecasts.choose(
                    settings, network, chosen.dtype.name, size[::-1], styles
                )
            except MemoryLimitError as error:
                known[key] = error
        if isinstance(known[key], MemoryLimitError):
            refusals[task.number] = str(known[key])
            continue
        seconds += forecasts.duration(known[key], settings, chosen.rate)
        memory = max(memory, *(scale.memory for scale in known[key]))
    return Foreseen(sizes, finished, seconds, memory, refusals)


def _sizes(
    task: Task, settings: Settings
) -> tuple[tuple[int, int], tuple[tuple[tuple[int, int], float], ...]]:
    """(width, height) of the picture of a task, and of its styles with the long side asked for."""
    if task.size is None:
        size = settings.image_size
    else:
        whole = settings.image_size == "original"
        size = images.sized(task.size, None if whole else settings.image_size)
    asked = jobs.style_long_side(settings, size)
    styles = tuple(
        (
            images.sized(of_style, asked, settings.style_scale),
            jobs.asked_side(settings, size, of_style),
        )
        for of_style in task.style_sizes
    )
    return size, styles if settings.beta else ()


def _finished(task: Task, batch: Batch, file: WeightsFile, names: set[str]) -> RunFolder | None:
    """The run folder of a task that is finished already; names: what ``folder_names`` found."""
    name = folder_name(jobs.stems(task.content, task.styles))
    if name not in names or batch.settings.overwrite:
        return None
    folder = RunFolder(jobs.outline(task.settings(batch.settings)), file)
    return folder if folder.finished else None


def pending(
    batch: Batch, file: WeightsFile, done: Callable[[Outcome], None]
) -> Iterator[tuple[Task, Job]]:
    """Yield the tasks that are not finished, one by one, with their pictures read.

    ``done`` gets the outcome of those that are finished already, and of those whose pictures cannot
    be used. Nothing of a picture is decoded before it is known that it is wanted.
    """
    names = folder_names(Path(batch.settings.output_dir))
    for task in batch.tasks:
        try:
            if folder := _finished(task, batch, file, names):
                folder.tidy()
                folder.add_animation()
                done(made(task, folder))
                continue
            job = jobs.prepare(task.settings(batch.settings))
        except NSTError as error:
            refuse(batch, task, error, done)
            continue
        yield task, job


def attempt(
    task: Task, make: Callable[[], RunFolder], batch: Batch, done: Callable[[Outcome], None]
) -> None:
    """Carry out a task; ``done`` gets its outcome. Raises errors that concern the others, too."""
    began = time.monotonic()
    try:
        folder = make()
    except NSTError as error:
        refuse(batch, task, error, done)
        return
    done(made(task, folder, time.monotonic() - began))


def refuse(batch: Batch, task: Task, error: NSTError, done: Callable[[Outcome], None]) -> None:
    """Go on without a task that raised an error; raise it where it concerns the others, too."""
    if not batch.several or isinstance(error, FullError | UsageError | WeightsError):
        raise error
    if isinstance(error, OutputError):
        jobs.check_output(Path(batch.settings.output_dir))
    done(Outcome(task, "failed", error=str(error), exit_code=error.exit_code))


def exit_code(batch: Batch, refused: bool) -> ExitCode:
    """The exit code of a batch that was carried out; refused: whether a task failed."""
    return ExitCode.SOME_FAILED if batch.broken or refused else ExitCode.DONE
