"""One run: a job, carried out in its run folder, or resumed where it stopped."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from nst.engine.evaluation import Evaluation
from nst.engine.forecast import ScaleForecast, choose_tilings, run_seconds
from nst.engine.precision import Precision
from nst.engine.scales import last_rounds, scale_factors, scale_iterations
from nst.engine.step import Position, Step
from nst.errors import MemoryLimitError
from nst.runs.folder import RunFolder
from nst.runs.job import Job, describe_job, job_remarks
from nst.runs.prefetch import prefetch
from nst.runs.session import Session
from nst.settings import Settings
from nst.text import duration_text, memory_text
from nst.vgg.layers import layers_up_to
from nst_utils import transfer_style

LONG = 600  # seconds after which advice is given


@dataclass(frozen=True)
class RunForecast:
    """How a job will be evaluated, and what it will take.

    scales: coarsest first. evaluation: with the same, the picture is the same bit for bit.
    """

    precision: Precision
    scales: tuple[ScaleForecast, ...]
    evaluation: Evaluation

    @property
    def is_tiled(self) -> bool:
        """Whether the finest scale has several tiles."""
        return max(self.scales[-1].tiles) > 1

    def facts(self, session: Session, job: Job) -> dict[str, Any]:
        """Entries for the manifest."""
        return {
            "network": {
                "name": session.weights.network,
                "source": session.file.source,
                "sha256": session.file.sha256,
            },
            "precision": self.precision.dtype.name,
            "size": {"width": job.size[1], "height": job.size[0]},
            "scales": [
                {"width": scale.size[1], "height": scale.size[0], "tiles": scale.tiles}
                for scale in self.scales
            ],
            "foretold_memory_bytes": round(max(scale.memory for scale in self.scales)),
        }

    def describe(self, session: Session, job: Job) -> list[str]:
        """Lines for the user."""
        lines = session.describe(job.settings, self.precision)
        return lines + describe_forecasts(self.scales, job.settings, self.precision.rate)


def describe_forecasts(
    forecasts: Sequence[ScaleForecast], settings: Settings, rate: float
) -> list[str]:
    """Lines for the user: scales, tiles, memory and time. rate: as for ``run_seconds``."""
    lines = []
    if len(forecasts) > 1:
        iterations = scale_iterations(settings, len(forecasts))
        rounds = last_rounds(settings)
        scales = forecasts[: len(forecasts) - rounds]
        sizes = ", ".join(f"{scale.size[1]} x {scale.size[0]}" for scale in scales)
        sizes += f", and {rounds} last ones" if rounds else ""
        ends = ", ".join(str(its.stop - 1) for its in iterations)
        lines.append(f"Scales    {sizes}, up to iterations {ends}")
    finest = forecasts[-1]
    if max(finest.tiles) == 1:
        lines.append("Plan      the whole picture at once")
    else:
        tiles = " + ".join(map(str, finest.tiles))
        lines.append(f"Plan      {tiles} tiles, the first with a halo of {finest.halo} pixels")
    seconds = run_seconds(forecasts, settings, rate)
    lines.append(f"Memory    up to about {memory_text(max(scale.memory for scale in forecasts))}")
    lines.append(f"Time      about {duration_text(seconds)} for {settings.epochs} epochs")
    if seconds > LONG:
        lines.append(
            "          A smaller --image_size or fewer --epochs take less; "
            "time goes with the number of pixels."
        )
    return lines


def forecast_run(
    job: Job, session: Session, earlier: Evaluation | None = None, share: float = 1.0
) -> RunForecast:
    """Choose dtype and tilings of a job.

    earlier: of a checkpoint or an earlier run; it is chosen again where the limits of memory and
    tiles are the same and it still fits. share: of the free memory that may be used.
    Raises WeightsError if the network lacks a layer, MemoryLimitError.
    """
    settings, network = job.settings, session.weights.network
    layers_up_to(network, settings.used_layers)  # refuses before the precision is measured
    precision = session.precision(earlier.dtype if earlier else settings.precision)
    styles = []
    if settings.beta:
        styles = [(s.rgb.shape[:2], side) for s, side in zip(job.styles, job.style_sizes)]
    tilings = None
    if earlier and earlier.fits(settings, len(scale_factors(settings, job.size))):
        tilings = earlier.tilings
    scales = choose_tilings(
        settings,
        network,
        precision.dtype.name,
        job.size,
        styles,
        earlier=tilings,
        share=share,
        workers=session.workers,
    )
    evaluation = Evaluation(
        precision.dtype.name,
        tuple(scale.tiling for scale in scales),
        settings.max_memory,
        settings.tile_size,
    )
    return RunForecast(precision, tuple(scales), evaluation)


def run_steps(
    job: Job, session: Session, forecast: RunForecast, position: Position | None
) -> Iterator[Step]:
    """Yield the steps of a job after ``position``, or all of them; see ``transfer_style``."""
    try:
        steps = transfer_style(
            job.content.rgb if job.content else None,
            [style.rgb for style in job.styles],
            session.weights,
            job.settings,
            content_masks=job.content_masks,
            style_masks=job.style_masks,
            style_sizes=job.style_sizes,
            start=job.start.rgb if job.start else None,
            evaluation=forecast.evaluation,
            graphs=session.graphs(job.settings, forecast.precision.dtype),
            position=position,
        )
        del position  # free its memory once the run has moved on
        yield from steps
    except (MemoryError, tf.errors.ResourceExhaustedError):
        raise MemoryLimitError(
            f"{' with '.join(job.stems)}: not enough memory; "
            "use a smaller --image_size or --max_memory"
        ) from None


def _record_steps(
    folder: RunFolder, steps: Iterator[Step], on_step: Callable[[Step], None]
) -> None:
    """Save and show every step, while a thread computes the next one."""
    for step in prefetch(steps):
        folder.record(step)
        on_step(step)


def ignore(_: object) -> None:
    """A callback that does nothing."""


def run_job(
    job: Job,
    session: Session,
    *,
    say: Callable[[str], None] = ignore,
    on_start: Callable[[RunFolder], None] = ignore,
    on_step: Callable[[Step], None] = ignore,
    brief: bool = False,
    earlier: Evaluation | None = None,
) -> RunFolder:
    """Make the picture of ``job`` in its run folder, and return the folder.

    A run that is finished already is left as it is, an unfinished one is resumed where it was saved
    last; ``dry_run`` makes nothing.

    say: gets lines for the user. on_start: gets the folder when it is first written in. on_step:
    gets every Step. brief: say only the remarks on its pictures. earlier: evaluation of an earlier
    run that is made again.
    Raises NSTError; whatever stops a run, it can be resumed from where it was saved.
    """
    folder = RunFolder(job, session.file)
    if folder.finished:
        if not job.settings.dry_run:
            folder.tidy()
            if folder.add_animation():
                say(f"{folder.path}: its animation is made of the frames that are there.")
        return folder
    forecast = forecast_run(job, session, earlier)  # refuses before anything is made
    lines = job_remarks(job)
    if not brief:
        lines = [*describe_job(job), *forecast.describe(session, job)]
    for line in lines:
        say(line)
    if job.settings.dry_run:
        return folder
    try:
        if not folder.claim():
            return folder
        if folder.news:
            say(folder.news)
        position = None
        if folder.checkpoint:
            position = folder.checkpoint.position
            saved = folder.checkpoint.evaluation
            forecast = forecast_run(job, session, saved)
            if forecast.evaluation.tilings != saved.tilings:
                say(f"{folder.path}: by other tiles than before: the picture may differ a little.")
        folder.begin(forecast.facts(session, job), forecast.evaluation)
        on_start(folder)
        steps = run_steps(job, session, forecast, position)
        del position  # free its memory once the run has moved on
        _record_steps(folder, steps, on_step)
        folder.finish()
    except BaseException as error:
        if line := folder.stop(error):
            say(line)
        raise
    finally:
        folder.close()
    return folder
