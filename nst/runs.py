"""One run: a job, carried out in its run folder, or taken up where it stopped."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from nst import jobs, networks, plan, pyramid
from nst.ahead import ahead
from nst.errors import MemoryLimitError
from nst.jobs import Job
from nst.plan import Forecast
from nst.precision import Precision
from nst.run_folder import RunFolder
from nst.step import Position, Step
from nst.studio import Studio
from nst.tiling import Plan

Say = Callable[[str], None]
Transfer = Callable[..., Iterator[Step]]  # nst_utils.transfer_style


@dataclass(frozen=True)
class Outlook:
    """How a job will be evaluated, and what it will take. forecasts: one for each scale."""

    chosen: Precision
    forecasts: tuple[Forecast, ...]

    @property
    def is_tiled(self) -> bool:
        """Whether the finest scale has several tiles."""
        return max(self.forecasts[-1].tiles) > 1

    def kept(self, job: Job) -> dict[str, Any]:
        """What a checkpoint keeps of it: with the same, the picture is the same bit for bit."""
        plans = [
            {
                "cuts": list(map(list, forecast.plan.cuts)),
                "keep_content": forecast.plan.keep_content,
            }
            for forecast in self.forecasts
        ]
        return {**_limits(job), "precision": self.chosen.dtype.name, "plans": plans}

    def facts(self, studio: Studio, job: Job) -> dict[str, Any]:
        """What the manifest tells of it."""
        file, forecasts = studio.file, self.forecasts
        return {
            "network": {
                "name": studio.network.network,
                "source": file.source,
                "sha256": file.sha256,
            },
            "precision": self.chosen.dtype.name,
            "size": {"width": job.size[1], "height": job.size[0]},
            "scales": [
                {"width": f.size[1], "height": f.size[0], "tiles": f.tiles} for f in forecasts
            ],
            "foretold_memory_bytes": round(max(f.memory for f in forecasts)),
        }

    def describe(self, studio: Studio, job: Job) -> list[str]:
        """Tell a user."""
        of_plan = plan.describe(self.forecasts, job.settings, self.chosen.rate)
        return [*studio.describe(job.settings, self.chosen), *of_plan]


def foresee(
    job: Job, studio: Studio, kept: dict[str, Any] | None = None, share: float = 1.0
) -> Outlook:
    """Choose number type and tiles of a job.

    kept: what its checkpoint kept; it is chosen again where the limits of memory and tiles are the
    same and it still fits. share: of the free memory that may be used.
    Raises WeightsError if the network lacks a layer, MemoryLimitError.
    """
    settings, network = job.settings, studio.network.network
    networks.layers_up_to(network, settings.used_layers)
    wanted = None
    if kept and all(kept[name] == limit for name, limit in _limits(job).items()):
        wanted = [Plan(tuple(map(tuple, p["cuts"])), p["keep_content"]) for p in kept["plans"]]
        if len(wanted) != len(pyramid.factors(settings, job.size)):
            wanted = None
    chosen = studio.precision(kept["precision"] if kept else settings.precision)
    styles = [(s.rgb.shape[:2], asked) for s, asked in zip(job.styles, job.style_sizes)]
    styles = styles if settings.beta else []
    forecasts = plan.choose(
        settings,
        network,
        chosen.dtype.name,
        job.size,
        styles,
        wanted,
        share,
        studio.workers,
    )
    return Outlook(chosen, tuple(forecasts))


def perform(
    job: Job, studio: Studio, outlook: Outlook, position: Position | None, transfer: Transfer
) -> Iterator[Step]:
    """Yield the steps of a job after ``position``, or all of them; see ``transfer_style``."""
    try:
        yield from transfer(
            job.content.rgb if job.content else None,
            [style.rgb for style in job.styles],
            studio.network,
            job.settings,
            content_masks=job.content_masks,
            style_masks=job.style_masks,
            style_sizes=job.style_sizes,
            start=job.start.rgb if job.start else None,
            chosen=outlook.chosen,
            plans=[forecast.plan for forecast in outlook.forecasts],
            graphs=studio.graphs(job.settings, outlook.chosen.dtype),
            position=position,
        )
    except (MemoryError, tf.errors.ResourceExhaustedError):
        raise MemoryLimitError(
            f"{' with '.join(job.stems)}: not enough memory; "
            "use a smaller --image_size or --max_memory"
        ) from None


def run(
    job: Job,
    studio: Studio,
    transfer: Transfer,
    say: Say,
    on_step: Callable[[Step], None],
    on_start: Callable[[RunFolder], None],
    brief: bool,
    kept: dict[str, Any] | None,
) -> RunFolder:
    """Make the picture of ``job`` in its run folder; see ``nst_utils.run_job``."""
    folder = RunFolder(job, studio.file)
    if folder.finished:
        folder.tidy()
        if not job.settings.dry_run and folder.add_animation():
            say(f"{folder.path}: its animation is made of the frames that are there.")
        return folder
    outlook = foresee(job, studio, kept)  # before anything is made
    told = [*jobs.describe(job), *outlook.describe(studio, job)]
    for line in jobs.remarks(job) if brief else told:
        say(line)
    if job.settings.dry_run:
        return folder
    try:
        if not folder.claim():
            return folder
        if folder.news:
            say(folder.news)
        if folder.checkpoint:
            outlook = foresee(job, studio, folder.checkpoint.about)
            if outlook.kept(job)["plans"] != folder.checkpoint.about["plans"]:
                say(f"{folder.path}: by other tiles than before: the picture may differ a little.")
        folder.begin(outlook.facts(studio, job), outlook.kept(job))
        on_start(folder)
        position = folder.checkpoint.position if folder.checkpoint else None
        # The thread computes the next iteration while this one is saved and shown.
        for step in ahead(perform(job, studio, outlook, position, transfer)):
            folder.record(step)
            on_step(step)
        folder.finish()
    except BaseException as error:
        if line := folder.stop(error):
            say(line)
        raise
    finally:
        folder.close()
    return folder


def _limits(job: Job) -> dict[str, int | None]:
    return {name: getattr(job.settings, name) for name in ("max_memory", "tile_size")}
