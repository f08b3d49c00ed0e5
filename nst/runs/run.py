"""One run: a job, carried out in its run folder, or resumed where it stopped."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nst.engine.budget import ScaleForecast, host_memory
from nst.engine.devices import Device, is_out_of_memory
from nst.engine.evaluation import Evaluation
from nst.engine.forecast import choose_tilings, run_seconds, smaller_tilings
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
    shortages: where memory ran out before, each the last iteration that was done, None for none.
    """

    precision: Precision
    scales: tuple[ScaleForecast, ...]
    evaluation: Evaluation
    shortages: tuple[int | None, ...] = ()

    @property
    def is_tiled(self) -> bool:
        """Whether the finest scale has several tiles."""
        return max(self.scales[-1].tiles) > 1

    def facts(self, session: Session, job: Job) -> dict[str, Any]:
        """Entries for the manifest."""
        memory = session.device.memory()
        own = memory or host_memory()
        facts: dict[str, Any] = {}
        if memory is not None:
            host = max(scale.host_memory or 0.0 for scale in self.scales)
            facts["foretold_host_memory_bytes"] = round(host)
        if self.shortages:
            facts["out_of_memory_after"] = list(self.shortages)
        return {
            "device": {
                "name": session.device.label,
                "model": session.device.model or None,
                "memory_bytes": _whole(own.total),
                "free_memory_bytes": _whole(own.free),
            },
            "network": {
                "name": session.weights.network,
                "source": session.file.source,
                "sha256": session.file.sha256,
                "notes": list(session.weights.notes),
            },
            "precision": self.precision.dtype.name,
            "size": {"width": job.size[1], "height": job.size[0]},
            "scales": [
                {"width": scale.size[1], "height": scale.size[0], "tiles": scale.tiles}
                for scale in self.scales
            ],
            "foretold_memory_bytes": round(max(scale.memory for scale in self.scales)),
            **facts,
        }

    def describe(self, session: Session, job: Job) -> list[str]:
        """Lines for the user."""
        lines = session.describe(job.settings, self.precision)
        return lines + describe_forecasts(self.scales, job.settings, self.precision.rate)


def _whole(number: float | None) -> int | None:
    return None if number is None else round(number)


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
    lines.append(f"Plan      {_plan_text(forecasts[-1])}")
    seconds = run_seconds(forecasts, settings, rate)
    memory = f"up to about {memory_text(max(scale.memory for scale in forecasts))}"
    of_host = [scale.host_memory for scale in forecasts if scale.host_memory is not None]
    if of_host:
        memory += f" on the GPU, and {memory_text(max(of_host))} on the host"
    lines.append(f"Memory    {memory}")
    lines.append(f"Time      about {duration_text(seconds)} for {settings.epochs} epochs")
    if seconds > LONG:
        lines.append(
            "          A smaller --image_size or fewer --epochs take less; "
            "time goes with the number of pixels."
        )
    return lines


def _plan_text(forecast: ScaleForecast) -> str:
    """How a scale is evaluated."""
    if max(forecast.tiles) == 1:
        stages = len(forecast.tiles)
        return "the whole picture " + ("at once" if stages == 1 else f"in {stages} stages")
    tiles = " + ".join(map(str, forecast.tiles))
    return f"{tiles} tiles, the first with a halo of {forecast.halo} pixels"


def forecast_run(
    job: Job, session: Session, earlier: Evaluation | None = None, share: float = 1.0
) -> RunForecast:
    """Choose dtype and tilings of a job.

    earlier: of a checkpoint or an earlier run; it is chosen again where the limits of memory and
    tiles and the device are the same and it still fits. share: of the free memory of the host that
    may be used.
    Raises WeightsError if the network lacks a layer, MemoryLimitError.
    """
    settings, network = job.settings, session.weights.network
    layers_up_to(network, settings.used_layers)  # refuses before the precision is measured
    precision = session.precision(earlier.dtype if earlier else settings.precision)
    tilings = None
    scale_count = len(scale_factors(settings, job.size))
    if earlier and earlier.fits(settings, scale_count, session.device.device_name):
        tilings = earlier.tilings
    scales = choose_tilings(
        settings,
        network,
        precision.dtype.name,
        job.size,
        _style_sizes(job),
        earlier=tilings,
        share=share,
        workers=session.workers,
        card=session.device.memory(),
    )
    evaluation = Evaluation(
        precision.dtype.name,
        tuple(scale.tiling for scale in scales),
        settings.max_memory,
        settings.tile_size,
        session.device.device_name,
    )
    return RunForecast(precision, tuple(scales), evaluation)


def _style_sizes(job: Job) -> list[tuple[tuple[int, int], float]]:
    """The styles of a job for its forecast: (height, width), and the long side requested."""
    if not job.settings.beta:
        return []
    return [(s.rgb.shape[:2], side) for s, side in zip(job.styles, job.style_sizes)]


def smaller_run(
    forecast: RunForecast, job: Job, session: Session, position: Position | None
) -> RunForecast | None:
    """Return the next smaller forecast, memory having run out; None if there is none.

    position: of the last step that was done, None if there was none.
    """
    settings, number = job.settings, 0
    if position:
        ends = [its.stop - 1 for its in scale_iterations(settings, len(forecast.scales))]
        later = (index for index, end in enumerate(ends) if position.iteration < end)
        number = next(later, len(ends) - 1)
    scales = smaller_tilings(
        settings,
        session.weights.network,
        forecast.precision.dtype.name,
        job.size,
        _style_sizes(job),
        forecast.scales,
        number,
        workers=session.workers,
        card=forecast.scales[0].host_memory is not None,
    )
    if scales is None:
        return None
    return replace(
        forecast,
        scales=tuple(scales),
        evaluation=replace(forecast.evaluation, tilings=tuple(scale.tiling for scale in scales)),
        shortages=(*forecast.shortages, position.iteration if position else None),
    )


def run_steps(
    job: Job, session: Session, forecast: RunForecast, position: Position | None
) -> Iterator[Step | RunForecast]:
    """Yield the steps of a job after ``position``, or all of them; see ``transfer_style``.

    When memory runs out, the next smaller forecast is yielded, and by that the steps go on after
    the last one. Raises MemoryLimitError if it runs out with the smallest.
    """
    while True:
        try:
            for step in _placed_steps(job, session, forecast, position):
                position = step.position
                yield step
                del step  # free the memory of its picture
            return
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        # Not before here is the memory free that the traceback held.
        smaller = smaller_run(forecast, job, session, position)
        if smaller is None:
            raise MemoryLimitError(
                f"{' with '.join(job.stems)}: not enough memory on {session.device.title}, even by "
                "the smallest tiles; use a smaller --image_size, or free some memory"
            )
        forecast = smaller
        yield forecast


def _placed_steps(
    job: Job, session: Session, forecast: RunForecast, position: Position | None
) -> Iterator[Step]:
    """The steps of ``transfer_style``, computed on the device of the session."""
    steps = transfer_style(
        job.seen(job.content) if job.content else None,
        [job.seen(style) for style in job.styles],
        session.weights,
        job.settings,
        content_masks=job.content_masks,
        style_masks=job.style_masks,
        style_sizes=job.style_sizes,
        visible=job.visible,
        start=job.start.rgb if job.start else None,
        evaluation=forecast.evaluation,
        graphs=session.graphs(job.settings, forecast.precision.dtype),
        position=position,
    )
    del position  # free its memory once the run has moved on
    while True:
        with session.device.placed():  # not while the caller, of whatever thread, has its turn
            step = next(steps, None)
        if step is None:
            return
        yield step
        del step


def shortage_text(forecast: RunForecast, settings: Settings, device: Device) -> str:
    """The line that tells the user of a forecast that ``run_steps`` yields."""
    after = forecast.shortages[-1]
    when = "before the start image was evaluated" if after is None else f"after iteration {after}"
    asked = ""
    size = forecast.scales[-1].tiling.cuts[0][1]
    if settings.tile_size and size and size < settings.tile_size:
        asked = f", smaller ones than --tile_size {settings.tile_size}"
    return (
        f"Memory    ran out on {device.title} {when}; going on by less at a time: "
        f"{_plan_text(forecast.scales[-1])}{asked}"
    )


def _record_steps(
    folder: RunFolder,
    steps: Iterator[Step | RunForecast],
    on_step: Callable[[Step], None],
    on_forecast: Callable[[RunForecast], None],
) -> None:
    """Save and show every step, while a thread computes the next one."""
    for step in prefetch(steps):
        if isinstance(step, RunForecast):
            on_forecast(step)
            continue
        folder.record(step)
        on_step(step)


def _change(saved: Evaluation, chosen: Evaluation) -> str:
    """What of the evaluation of a run that goes on is other than before."""
    if chosen.device != saved.device:
        return "on another device"
    return "by other tiles" if chosen.tilings != saved.tilings else ""


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

    Of a run that is finished already only what is missing is made, without painting; an unfinished
    one is resumed where it was saved last; ``dry_run`` makes nothing.

    say: gets lines for the user. on_start: gets the folder when it is first written in. on_step:
    gets every Step. brief: say only the remarks on its pictures. earlier: evaluation of an earlier
    run that is made again.
    Raises NSTError; whatever stops a run, it can be resumed from where it was saved.
    """
    folder = RunFolder(job, session.file)
    if folder.finished:
        if not job.settings.dry_run:
            for line in folder.add_wanted():
                say(line)
        return folder
    forecast = forecast_run(job, session, earlier)  # refuses before anything is made
    lines = job_remarks(job)
    if not brief:
        lines = [*describe_job(job), *forecast.describe(session, job)]
    if earlier and earlier.device != forecast.evaluation.device:
        lines.append(f"It was made on another device ({earlier.device}): it may differ a little.")
    for line in lines:
        say(line)
    if job.settings.dry_run:
        if folder.outlook:
            say(folder.outlook)
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
            if change := _change(saved, forecast.evaluation):
                say(f"{folder.path}: {change} than before: the picture may differ a little.")
        folder.begin(forecast.facts(session, job), forecast.evaluation)
        on_start(folder)

        def on_forecast(smaller: RunForecast) -> None:
            folder.change_evaluation(smaller.facts(session, job), smaller.evaluation)
            say(shortage_text(smaller, job.settings, session.device))

        steps = run_steps(job, session, forecast, position)
        del position  # free its memory once the run has moved on
        _record_steps(folder, steps, on_step, on_forecast)
        for line in folder.finish():
            say(line)
    except BaseException as error:
        if line := folder.stop(error):
            say(line)
        raise
    finally:
        folder.close()
    return folder
