"""Many pictures: every content in every style, planned before the first is made."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nst.engine.budget import ScaleForecast
from nst.engine.forecast import choose_tilings, run_seconds
from nst.errors import (
    ExitCode,
    FullError,
    MemoryLimitError,
    NSTError,
    OutputError,
    PictureError,
    UsageError,
    WeightsError,
)
from nst.options import START_WORDS
from nst.pictures.find import FoundPictures, collect_pictures, find_picture
from nst.pictures.fit import fit
from nst.pictures.left_alone import COPY, LeftAlone
from nst.pictures.mask_files import MaskFinder
from nst.pictures.read import peek_size, size_as_read
from nst.runs.checks import check_counts, check_output, check_settings, is_mixed
from nst.runs.flat_copy import own_copies
from nst.runs.folder import RunFolder
from nst.runs.folder_names import first_names, fold, spellings
from nst.runs.job import (
    Job,
    find_masks,
    hash_job,
    job_stems,
    read_job,
    requested_style_side,
    style_long_side,
)
from nst.settings import Settings
from nst.text import count_text, picture_title
from nst.vgg.weights import WeightsFile

if TYPE_CHECKING:  # it imports TensorFlow, which takes seconds
    from nst.runs.session import Session

FileSize = tuple[int, int]  # (width, height) in pixels


@dataclass(frozen=True)
class Task:
    """One picture of a batch, of which nothing was read yet.

    number: from 1. content: its file, None for a texture. styles: files; several are mixed.
    style_masks: files, one for each style, or none. size, style_sizes: (width, height) of files.
    name: its title for the user.
    """

    number: int
    content: Path | None
    styles: tuple[Path, ...]
    style_masks: tuple[str, ...] | None
    size: FileSize | None
    style_sizes: tuple[FileSize, ...]
    name: str

    def settings(self, common: Settings) -> Settings:
        """The settings of its job."""
        return replace(
            common,
            content_image_filename=(str(self.content),) if self.content else None,
            style_image_filename=tuple(map(str, self.styles)) or common.style_image_filename,
            style_mask=self.style_masks,
        )


@dataclass(frozen=True)
class Outcome:
    """The result of a task; it holds no pixels, as there may be many.

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


def outcome_of(task: Task, folder: RunFolder, seconds: float = 0.0) -> Outcome:
    """The outcome of a task whose picture is finished."""
    status = "skipped" if folder.finished else "finished"
    return Outcome(task, status, folder.path, folder.picture, seconds=seconds)


@dataclass(frozen=True)
class Batch:
    """All the tasks of a command.

    several: True if it is treated as a batch; a single task of one content and one style is not.
    left_out: files of folders that cannot be read, with the reason. broken: likewise, of files that
    were named: each counts as a failed job. left_alone: what is no picture, or not to be used.
    """

    settings: Settings
    tasks: tuple[Task, ...]
    several: bool
    left_out: dict[Path, str] = field(default_factory=dict)
    broken: dict[Path, str] = field(default_factory=dict)
    left_alone: LeftAlone = field(default_factory=LeftAlone)

    def single_settings(self) -> Settings:
        """The settings of the only task; a file that was given alone keeps its name."""
        settings = self.tasks[0].settings(self.settings)
        given = {
            name: getattr(self.settings, name)
            for name in ("content_image_filename", "style_image_filename")
            if len(getattr(self.settings, name) or ()) == 1
        }
        return replace(settings, **given)


def plan_batch(settings: Settings) -> Batch:
    """Find the pictures of ``settings`` and pair them, reading no more than the heads of files.

    Raises PictureError, UsageError or OutputError.
    """
    output_dir = Path(settings.output_dir)
    check_settings(settings)
    contents, styles = FoundPictures(), FoundPictures()
    if settings.content_image_filename is not None:
        names = settings.content_image_filename
        contents = collect_pictures(
            names, "content_image_filename", output_dir, exclude=settings.exclude or ()
        )
        _leave_copies(contents, names, output_dir)
    if settings.beta or settings.init == "style":
        names = settings.style_image_filename
        together = bool(is_mixed(settings) or settings.style_mask)
        styles = collect_pictures(
            names, "style_image_filename", output_dir, together, settings.exclude or ()
        )
        _leave_copies(styles, names, output_dir)
    if settings.init not in START_WORDS:
        start = find_picture(settings.init, f"init ({', '.join(START_WORDS)}, or a file)")
        peek_size(start)
    combinations = _style_combinations(settings, styles)
    content_names, style_names = _shown_names(contents), _shown_names(styles)
    tasks: list[Task] = []
    pairs: Sequence[tuple[Path | None, FileSize | None]] = contents.pictures or [(None, None)]
    for content, size in pairs:
        for combination, masks in combinations:
            paths = tuple(path for path, _ in combination)
            content_name = None if content is None else content_names[content]
            tasks.append(
                Task(
                    number=len(tasks) + 1,
                    content=content,
                    styles=paths,
                    style_masks=masks,
                    size=size,
                    style_sizes=tuple(style_size for _, style_size in combination),
                    name=picture_title(content_name, [style_names[path] for path in paths]),
                )
            )
    _check_masks(settings, tasks)
    broken = contents.broken | styles.broken
    left_alone = contents.left_alone.merged(styles.left_alone)
    swept = contents.swept or styles.swept or bool(left_alone.total)
    return Batch(
        settings,
        tuple(tasks),
        several=len(tasks) > 1 or swept or bool(broken),
        left_out=contents.left_out | styles.left_out,
        broken=broken,
        left_alone=left_alone,
    )


def _check_masks(settings: Settings, tasks: Sequence[Task]) -> None:
    """Raise PictureError if the mask of a task is missing or no picture; of several, name one."""
    if not (settings.content_mask or settings.style_mask):
        return
    finder, heads_read = MaskFinder(Path(settings.output_dir)), set[Path]()
    refusals: list[str] = []
    for task in tasks:
        try:
            masks = find_masks(task.settings(settings), finder, task.content, task.styles)
            for path in dict.fromkeys((*masks["content_mask"], *masks["style_mask"])):
                if path not in heads_read:
                    peek_size(path)
                    heads_read.add(path)
        except PictureError as error:
            refusals.append(str(error))
    if refusals:
        first, *others = dict.fromkeys(refusals)
        so_for = f" (so for {count_text(len(others), 'other picture')})" if others else ""
        raise PictureError(first + so_for)


def _leave_copies(found: FoundPictures, names: Sequence[str], output_dir: Path) -> None:
    """Leave out the copies of finished pictures (--output_name), but those that were named."""
    place = output_dir.resolve()
    inside = {path for path, _ in found.pictures if path.resolve().parent == place}
    if inside - set(map(Path, names)):
        copies = {path.resolve() for path in own_copies(output_dir)}
        left = {path for path in inside if path.resolve() in copies} - set(map(Path, names))
        found.pictures[:] = [picture for picture in found.pictures if picture[0] not in left]
        for path in left:
            found.left_alone.add(COPY, path)


def _shown_names(pictures: FoundPictures) -> dict[Path, str]:
    """The names of files, or their paths if there are several of a name."""
    paths = {path for path, _ in pictures.pictures}
    unique = len({path.name for path in paths}) == len(paths)
    return {path: path.name if unique else str(path) for path in paths}


def _style_combinations(
    settings: Settings, files: FoundPictures
) -> list[tuple[Sequence[tuple[Path, FileSize]], tuple[str, ...] | None]]:
    """The styles of each picture of one content, with their sizes, and with their masks."""
    styles, masks = files.pictures, settings.style_mask
    mixed = is_mixed(settings)
    if (unusable := files.broken | files.left_out) and (mixed or masks):
        (path, reason), *_ = unusable.items()
        raise UsageError(f"style_image_filename: {path}: {reason}")
    if styles:
        check_counts(settings, len(styles))
    if mixed or not styles:
        return [(styles, masks)]
    return [
        ([style], masks and (masks[number % len(masks)],))  # one folder is for all
        for number, style in enumerate(styles)
    ]


@dataclass(frozen=True)
class BatchForecast:
    """What a batch will take.

    sizes: (width, height) of the picture of each task. finished: numbers of those that are finished
    already. seconds: of work that is left. memory: bytes at the peak. refusals: reason by number of
    each task that cannot be done.
    """

    sizes: list[FileSize]
    finished: set[int]
    seconds: float
    memory: float
    refusals: dict[int, str]


def forecast_batch(batch: Batch, session: "Session") -> BatchForecast:
    """Forecast time and memory of a batch; pictures are hashed only where a run folder exists."""
    settings, network = batch.settings, session.weights.network
    names = first_names(Path(settings.output_dir))
    precision = session.precision(settings.precision)
    card = session.device.memory()
    by_size: dict[tuple, list[ScaleForecast] | MemoryLimitError] = {}
    sizes, finished, refusals = [], set(), {}
    seconds = memory = 0.0
    for task in batch.tasks:
        try:
            size, styles = _sizes_as_read(task, settings)
        except PictureError as error:
            sizes.append(task.size or (0, 0))
            refusals[task.number] = str(error)
            continue
        sizes.append(size)
        if _finished_folder(task, batch, session.file, names):
            finished.add(task.number)
            continue
        key = size, styles
        if key not in by_size:
            style_sizes = [((height, width), side) for (width, height), side in styles]
            try:
                by_size[key] = choose_tilings(
                    settings, network, precision.dtype.name, size[::-1], style_sizes, card=card
                )
            except MemoryLimitError as error:
                by_size[key] = error
        scales = by_size[key]
        if isinstance(scales, MemoryLimitError):
            refusals[task.number] = str(scales)
            continue
        seconds += run_seconds(scales, settings, precision.rate)
        memory = max(memory, *(scale.memory for scale in scales))
    return BatchForecast(sizes, finished, seconds, memory, refusals)


def _sizes_as_read(
    task: Task, settings: Settings
) -> tuple[FileSize, tuple[tuple[FileSize, float], ...]]:
    """(width, height) of the picture of a task, and of its styles with the long side requested."""
    if task.size is not None:
        assert task.content is not None
        width, height = fit(task.content, task.size, settings).size
    else:
        assert settings.texture_size is not None  # there is no content
        height, width = settings.texture_size
    if not settings.beta:
        return (width, height), ()
    long_side = style_long_side(settings, (height, width))
    return (width, height), tuple(
        (
            size_as_read(file_size, long_side, settings.style_scale),
            requested_style_side(settings, (height, width), file_size),
        )
        for file_size in task.style_sizes
    )


def _finished_folder(
    task: Task, batch: Batch, file: WeightsFile, names: set[str]
) -> RunFolder | None:
    """The run folder of a task that is finished already. names: as of ``first_names``."""
    own = spellings(job_stems(task.content, task.styles), Path(batch.settings.output_dir))
    if names.isdisjoint(map(fold, own)) or batch.settings.overwrite:
        return None
    folder = RunFolder(hash_job(task.settings(batch.settings)), file)
    return folder if folder.finished else None


def pending(
    batch: Batch,
    file: WeightsFile,
    done: Callable[[Outcome], None],
    say: Callable[[str], None],
) -> Iterator[tuple[Task, Job]]:
    """Yield the tasks that are not finished, one by one, with their pictures read.

    ``done`` gets the outcome of those that are finished already, and of those whose pictures cannot
    be used; ``say`` lines for the user. No picture is decoded before it is known that it is wanted.
    """
    names = first_names(Path(batch.settings.output_dir))
    for task in batch.tasks:
        try:
            if folder := _finished_folder(task, batch, file, names):
                for line in folder.add_wanted():
                    say(line)
                done(outcome_of(task, folder))
                continue
            job = read_job(task.settings(batch.settings))
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
    done(outcome_of(task, folder, time.monotonic() - began))


def refuse(batch: Batch, task: Task, error: NSTError, done: Callable[[Outcome], None]) -> None:
    """Go on without a task that raised an error; raise it where it concerns the others, too."""
    if not batch.several or isinstance(error, FullError | UsageError | WeightsError):
        raise error
    if isinstance(error, OutputError):
        check_output(Path(batch.settings.output_dir))
    done(Outcome(task, "failed", error=str(error), exit_code=error.exit_code))


def exit_code(batch: Batch, refused: bool) -> ExitCode:
    """The exit code of a batch that was carried out; refused: whether a task failed."""
    return ExitCode.SOME_FAILED if batch.broken or refused else ExitCode.DONE
