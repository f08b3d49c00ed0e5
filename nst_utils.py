"""Neural style transfer by optimisation, after Gatys, Ecker and Bethge.

[1] A Neural Algorithm of Artistic Style, 2015 (arXiv:1508.06576).
[2] Image Style Transfer Using Convolutional Neural Networks, CVPR 2016.

The file follows the paper: the VGG network, the content cost, the Gram matrix, the style cost,
the total cost and its gradient, the optimizer, and the loop that moves the picture.

    from nst_utils import NeuralStyleTransfer
    image = NeuralStyleTransfer("photo.jpg", "painting.jpg").run(num_iterations=300)
"""

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf

from nst import colours, jobs, networks, plan, precision, pyramid, weights
from nst.errors import DivergedError, MemoryLimitError, UsageError
from nst.jobs import Job
from nst.objective import Objective
from nst.optimizers import LBFGS, Adam
from nst.pictures import Pictures, resize
from nst.precision import Precision
from nst.run_folder import FINISHED, RunFolder
from nst.settings import START_WORDS, Settings
from nst.step import Costs, Step
from nst.tile_graph import Graphs
from nst.tiling import WHOLE, Plan
from nst.vgg import VGG
from nst.weights import Weights

NOISE = 20.0  # the start image's noise is uniform in -NOISE..NOISE around the mean pixel


# --- The network -----------------------------------------------------------------------------


def build_vgg(weights: Weights, settings: Settings, dtype: tf.DType = tf.float32) -> VGG:
    """Return the network up to the deepest layer that ``settings`` need.

    Raises WeightsError if the network of ``weights`` lacks one of them.
    """
    return VGG(weights, settings.used_layers, settings.pooling, dtype)


# --- The total cost ----------------------------------------------------------------------------


def build_objective(
    content: np.ndarray | None,
    style: np.ndarray | Sequence[np.ndarray],
    weights: Weights,
    settings: Settings | None = None,
    *,
    content_masks: Sequence[np.ndarray] = (),
    style_masks: Sequence[np.ndarray] = (),
    dtype: tf.DType = tf.float32,
    plan: Plan = WHOLE,
) -> Objective:
    """Return the total cost J of ``settings``: image -> (costs, gradient), at full size.

    content, style, masks: as for ``transfer_style``. dtype: number type of the convolutions.
    """
    settings = settings or Settings()
    graphs = Graphs(build_vgg(weights, settings, dtype), settings)
    pictures = _pictures(content, style, settings, content_masks, style_masks)
    return Objective(graphs, pictures, plan)


def _pictures(
    content: np.ndarray | None,
    style: np.ndarray | Sequence[np.ndarray],
    settings: Settings,
    content_masks: Sequence[np.ndarray],
    style_masks: Sequence[np.ndarray],
) -> Pictures:
    """What the transfer sees, at full size."""
    styles = [style] if isinstance(style, np.ndarray) else list(style)
    if settings.beta and not styles:
        raise UsageError("style: give one, or beta 0")
    if content is None:
        if not isinstance(settings.image_size, tuple):
            raise UsageError("content: give one, or alpha 0 and a pair (width, height), image_size")
        size, seen = settings.image_size[::-1], None
    else:
        size, seen = content.shape[:2], colours.prepare(content, settings.preserve_colors)
        mode = settings.preserve_colors
        styles = [colours.prepare_style(of_style, content, mode) for of_style in styles]
    return Pictures(size, seen, tuple(styles), tuple(content_masks), tuple(style_masks))


# --- Optimisation ------------------------------------------------------------------------------


def start_image(
    pictures: Pictures, mean: np.ndarray, settings: Settings, start: np.ndarray | None = None
) -> np.ndarray:
    """Return the image that the optimisation starts from, (H, W, 3) float32, 0..255.

    mean: the mean pixel, (3,). start: (H, W, 3) of any size instead of ``settings.init``; it and
    the first style are stretched to the size of ``pictures``.
    noisy_content is noise_ratio * U(-20, 20) + (1 - noise_ratio) * content, around the mean pixel.
    """
    if start is None and settings.init not in START_WORDS:
        raise UsageError(f"init: the picture {settings.init} is to be given as start")
    if start is None and settings.init == "style" and not pictures.styles:
        raise UsageError("init: there is no style to start from")
    if start is not None or settings.init == "style":
        other = pictures.styles[0] if start is None else start
        other = colours.prepare(other, settings.preserve_colors)
        return np.array(resize(other, pictures.size), np.float32)
    ratio = {"content": 0.0, "noise": 1.0}.get(settings.init, settings.noise_ratio)
    content = mean if ratio == 1 else pictures.content
    random = np.random.default_rng(settings.seed)
    image = np.empty((*pictures.size, 3), np.float32)
    # By rows, to need little memory.
    for row, of_content in zip(image, np.broadcast_to(content, image.shape)):
        noise = random.uniform(-NOISE, NOISE, row.shape)
        row[:] = np.clip(mean + ratio * noise + (1 - ratio) * (of_content - mean), 0, 255)
    return image


def build_optimizer(settings: Settings, size: tuple[int, int]) -> Adam | LBFGS:
    """Return the optimizer of ``settings`` for images of ``size``, (height, width)."""
    if settings.optimizer == "adam":
        return Adam(settings.learning_rate)
    return LBFGS(plan.lbfgs_memory(size))


def minimise(
    objective: Objective, optimizer: Adam | LBFGS, image: np.ndarray
) -> Iterator[tuple[np.ndarray, Costs]]:
    """Move an image (H, W, 3); after each evaluation yield the one taken last and its costs."""
    state, taken, costs = optimizer.init(image), None, None
    while True:
        if taken is None or not np.array_equal(image, taken):  # else it has converged
            found, gradient = objective(image)
            if not np.isfinite(gradient).all():
                found = found._replace(total=math.nan)
            following, state = optimizer.step(image, found.total, gradient, state)
            gradient = None  # its memory is wanted for the next one
            if state.accepted:
                taken, costs = image, found
            image = following
        yield taken, costs


def transfer_style(
    content: np.ndarray | None,
    style: np.ndarray | Sequence[np.ndarray],
    weights: Weights,
    settings: Settings | None = None,
    *,
    content_masks: Sequence[np.ndarray] = (),
    style_masks: Sequence[np.ndarray] = (),
    style_sizes: Sequence[float] = (),
    start: np.ndarray | None = None,
    chosen: Precision | None = None,
    plans: Sequence[Plan] | None = None,
) -> Iterator[Step]:
    """Repaint ``content`` in the style of ``style``; yield the start image and every iteration.

    content: (H, W, 3), sRGB, 0..255; None for a texture of the size ``settings.image_size``.
    style: one such picture or several, of any sizes; not used where beta is 0.
    settings: weights of the cost, layers, start, epochs; the default settings if None.
    content_masks: (H, W) float32, 0..1, one for each style: where in the picture it is painted.
    style_masks: likewise, of the size of each style: where it is taken from.
    style_sizes: the long side that each style was asked for, if its file was smaller; coarse scales
        have it in proportion.
    start: (H, W, 3) image to start from instead of ``settings.init``, any size.
    chosen: number type of the convolutions, if it was chosen already.
    plans: how the evaluation of each scale is cut into tiles; the result does not depend on it.

    Each Step carries the costs of the very image it carries, but that with
    ``preserve_colors="luminance"`` these are the costs before the colours were restored. Raises
    WeightsError for a layer that the network lacks, UsageError for masks of another size or masks
    or weights of another number than the styles, and DivergedError, without yielding it, for an
    image whose cost is not finite.
    """
    settings = settings or Settings()
    began = time.perf_counter()
    chosen = chosen or precision.choose(settings.precision)
    graphs = Graphs(build_vgg(weights, settings, chosen.dtype), settings)
    full = _pictures(content, style, settings, content_masks, style_masks)
    full = replace(full, style_sizes=tuple(style_sizes))
    factors = pyramid.factors(settings, full.size)
    shares = pyramid.iterations(settings, len(factors))
    image = None
    for scale, (factor, iterations) in enumerate(zip(factors, shares), 1):
        pictures = full.scaled(factor)
        objective = Objective(graphs, pictures, plans[scale - 1] if plans else WHOLE)
        if image is None:
            image = start_image(pictures, weights.mean, settings, start)
        else:
            image = resize(image, pictures.size)
        of_content = None if content is None else resize(content, pictures.size)
        # A new state for each scale: one that was carried over, resized, made L-BFGS three times
        # worse after as many iterations, and Adam one and a half times.
        optimizer = build_optimizer(settings, pictures.size)
        evaluated = minimise(objective, optimizer, image)
        for iteration in iterations:
            image, costs = next(evaluated)
            if not math.isfinite(costs.total):
                by_step = settings.optimizer == "adam" and iteration > 0
                slower = "lower --learning_rate, or " if by_step else ""
                raise DivergedError(
                    f"the cost is not finite at iteration {iteration}; {slower}use --precision "
                    "float32"
                )
            picture = colours.restore(image, of_content, settings.preserve_colors)
            seconds = time.perf_counter() - began
            yield Step(iteration, settings.epochs, scale, len(factors), picture, costs, seconds)
        del objective, evaluated  # their memory is wanted for the next scale


def make_deterministic() -> None:
    """Let TensorFlow take only operations that give the same bits on every run, on GPUs too.

    On processors the operations used here do so anyway. The switch is for the whole process, so
    the command line sets it and a program that uses this module decides for itself.
    """
    tf.config.experimental.enable_op_determinism()


# --- A run with its folder ---------------------------------------------------------------------


def run_job(
    job: Job,
    say: Callable[[str], None] | None = None,
    on_step: Callable[[Step], None] = lambda step: None,
) -> RunFolder:
    """Make the picture of ``job`` in its run folder, and return the folder.

    A run that is finished already is left as it is; ``dry_run`` makes nothing. ``say`` gets lines
    for the user, None shows nothing; ``on_step`` gets every Step. Raises NSTError; an interrupted
    or diverged run keeps its last frame.
    """
    file = weights.find(job.settings.model_path, say)
    say = say or _ignore
    folder = RunFolder(job, file)
    if folder.finished:
        return folder
    network = weights.load(file)
    settings = job.settings
    # Before anything is made: does it have them?
    networks.layers_up_to(network.network, settings.used_layers)
    chosen = precision.choose(settings.precision)
    styles = [(s.rgb.shape[:2], asked) for s, asked in zip(job.styles, job.style_sizes)]
    styles = styles if settings.beta else []
    forecasts = plan.choose(settings, network.network, chosen.dtype.name, job.size, styles)
    for line in jobs.describe(job):
        say(line)
    say(f"Network   {network.network} ({file.source}, SHA-256 {file.sha256[:12]})")
    say(f"Precision {chosen.dtype.name} ({chosen.reason})")
    for line in plan.describe(forecasts, settings, chosen.rate):
        say(line)
    if settings.dry_run:
        return folder
    if folder.unfinished:
        say(f"{folder.path}: an unfinished run is started again.")
    last = None
    try:
        if not folder.begin(
            network={"name": network.network, "source": file.source, "sha256": file.sha256},
            precision=chosen.dtype.name,
            size={"width": job.size[1], "height": job.size[0]},
            scales=[{"width": f.size[1], "height": f.size[0], "tiles": f.tiles} for f in forecasts],
            foretold_memory_bytes=round(max(forecast.memory for forecast in forecasts)),
        ):
            return folder
        for step in transfer_style(
            job.content.rgb if job.content else None,
            [style.rgb for style in job.styles],
            network,
            settings,
            content_masks=job.content_masks,
            style_masks=job.style_masks,
            style_sizes=job.style_sizes,
            start=job.start.rgb if job.start else None,
            chosen=chosen,
            plans=[forecast.plan for forecast in forecasts],
        ):
            last = step
            folder.record(step)
            on_step(step)
        folder.end(FINISHED, last)
    except (DivergedError, KeyboardInterrupt) as stop:
        status = "diverged" if isinstance(stop, DivergedError) else "interrupted"
        if last is None:
            folder.fail(status)
        else:
            folder.end(status, last)
            say(f"Stopped at iteration {last.iteration}; its frame is in {folder.path}")
        raise
    except (MemoryError, tf.errors.ResourceExhaustedError):
        folder.fail("failed")
        raise MemoryLimitError(
            f"{' with '.join(job.stems)}: not enough memory; "
            "use a smaller --image_size or --max_memory"
        ) from None
    except Exception:
        folder.fail("failed")
        raise
    finally:
        folder.close()
    return folder


def _ignore(line: str) -> None:
    pass


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


class NeuralStyleTransfer:
    """One content and one style picture, for use from Python.

    content_path, style_path: picture files, or bare names in ``images/``; no content (None) with
        ``alpha=0, image_size=(width, height)`` makes a texture.
    model_path: VGG weights; None takes the first of the four sources (see README).
    settings: any other field of ``Settings``, for instance ``image_size=512``; ``dry_run`` has no
        meaning here.
    """

    def __init__(
        self,
        content_path: str | None,
        style_path: str,
        model_path: str | None = None,
        **settings: object,
    ) -> None:
        self.settings = Settings(
            content_image_filename=content_path,
            style_image_filename=style_path,
            model_path=model_path,
            **settings,
        )

    def run(
        self,
        num_iterations: int | None = None,
        on_step: Callable[[Step], None] = lambda step: None,
        say: Callable[[str], None] | None = _to_stderr,
    ) -> np.ndarray:
        """Make the picture in its run folder below ``output/``, as the command line does.

        num_iterations: instead of ``epochs``. ``on_step`` gets every Step, ``say`` what the command
        line prints first: pictures, network, precision; None shows nothing.
        Returns the picture, (H, W, 3) uint8 sRGB. Raises NSTError.
        """
        settings = replace(self.settings, dry_run=False)
        if num_iterations is not None:
            settings = replace(settings, epochs=num_iterations)
        return run_job(jobs.prepare(settings), say, on_step).result()
