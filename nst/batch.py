"""Many pictures: every content in every style, planned before the first is made."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nst import images, inputs, jobs
from nst import plan as forecasts
from nst.errors import (
    BusyError,
    ExitCode,
    MemoryLimitError,
    NSTError,
    OutputError,
    UsageError,
    WeightsError,
)
from nst.inputs import Found
from nst.jobs import MASKS, Job
from nst.plan import Forecast
from nst.run_folder import RunFolder, folder_name, folder_names
from nst.settings import START_WORDS, Settings
from nst.weights import WeightsFile

if TYPE_CHECKING:  # it imports TensorFlow, which takes seconds
    from nst.studio import Studio

# Errors of one job, after which the next one is no better off.
HOPELESS = (OutputError, UsageError, WeightsError)


@dataclass(frozen=True)
class Task:
    """One picture of a batch, of which nothing was read yet.

    number: from 1. content: its file, None for a texture. styles: files; several are mixed.
    style_masks: files, one for each style, or none. size, style_sizes: (width, height) of files.
    """

    number: int
    content: Path | None
    styles: tuple[Path, ...]
    style_masks: tuple[str, ...] | None
    size: tuple[int, int] | None
    style_sizes: tuple[tuple[int, int], ...]

    @property
    def name(self) -> str:
        """What is painted how."""
        styles = " + ".join(path.name for path in self.styles)
        content = self.content.name if self.content else "texture"
        return f"{content} in the style of {styles}" if styles else content

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


def failed(task: Task, error: NSTError, seconds: float = 0.0) -> Outcome:
    """The outcome of a task that raised an error."""
    return Outcome(task, "failed", error=str(error), exit_code=error.exit_code, seconds=seconds)


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


def plan(settings: Settings) -> Batch:
    """Find the pictures of ``settings`` and pair them, reading no more than the heads of files.

    Raises PictureError, UsageError or OutputError.
    """
    output_dir = Path(settings.output_dir)
    jobs.check_size(settings)
    jobs.check_output(output_dir)
    contents, styles = Found(), Found()
    if settings.content_image_filename is not None:
        names = settings.content_image_filename
        contents = inputs.collect(names, "content_image_filename", output_dir)
    if settings.beta or settings.init == "style":
        names = settings.style_image_filename
        styles = inputs.collect(names, "style_image_filename", output_dir)
    if settings.init not in START_WORDS:
        images.peek(images.find(settings.init, f"init ({', '.join(START_WORDS)}, or a file)"))
    of_styles = _of_styles(settings, styles)
    for setting in MASKS if settings.beta else ():
        for name in getattr(settings, setting) or ():
            images.peek(images.find(name, setting))
    tasks = []
    for content, size in contents.pictures.items() or [(None, None)]:
        for paths, masks in of_styles:
            sizes = tuple(styles.pictures[path] for path in paths)
            tasks.append(Task(len(tasks) + 1, content, paths, masks, size, sizes))
    broken = contents.broken | styles.broken
    return Batch(
        settings,
        tuple(tasks),
        len(tasks) > 1 or contents.swept or styles.swept or bool(broken),
        contents.left_out | styles.left_out,
        broken,
        contents.others + styles.others,
    )


def _of_styles(
    settings: Settings, found: Found
) -> list[tuple[tuple[Path, ...], tuple[str, ...] | None]]:
    """The styles of each picture of one content, with their masks."""
    paths, masks = tuple(found.pictures), settings.style_mask
    mixed = settings.style_weights or settings.content_mask
    if found.broken and (mixed or masks):
        (path, reason), *_ = found.broken.items()
        raise UsageError(f"style_image_filename: {path}: {reason}")
    if paths:
        jobs.check_counts(settings, len(paths))
    if mixed or not paths:
        return [(paths, masks)]
    return [((path,), masks and (masks[number],)) for number, path in enumerate(paths)]


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
            settings.style_scale * (asked or max(of_style)),
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
                done(made(task, folder))
                continue
            job = jobs.prepare(task.settings(batch.settings))
        except NSTError as error:
            if not batch.several or is_hopeless(error):
                raise
            done(failed(task, error))
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
        if not batch.several or is_hopeless(error):
            raise
        done(failed(task, error, time.monotonic() - began))
        return
    done(made(task, folder, time.monotonic() - began))


def is_hopeless(error: NSTError) -> bool:
    """Whether an error of one job concerns all."""
    return isinstance(error, HOPELESS) and not isinstance(error, BusyError)


def exit_code(batch: Batch, outcomes: Sequence[Outcome]) -> ExitCode:
    """The exit code of a batch that was carried out to its end."""
    failed = batch.broken or any(outcome.status == "failed" for outcome in outcomes)
    return ExitCode.SOME_FAILED if failed else ExitCode.DONE
