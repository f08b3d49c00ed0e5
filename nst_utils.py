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
from typing import Any

import numpy as np
import tensorflow as tf

from nst import colours, jobs, plan, precision, pyramid, runs, weights
from nst.errors import DivergedError, UsageError
from nst.jobs import Job
from nst.objective import Objective
from nst.optimizers import LBFGS, Adam, AdamState, LBFGSState
from nst.pictures import Pictures, resize
from nst.precision import Precision
from nst.run_folder import RunFolder
from nst.settings import START_WORDS, Settings
from nst.step import Costs, Position, Step
from nst.studio import Studio
from nst.tile_graph import Graphs
from nst.tiling import WHOLE, Plan
from nst.vgg import VGG
from nst.weights import Weights

NOISE = 20.0  # the start image's noise is uniform in -NOISE..NOISE around the mean pixel


def _ignore(anything: object) -> None:
    pass


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
    objective: Objective,
    optimizer: Adam | LBFGS,
    image: np.ndarray | None,
    state: AdamState | LBFGSState | None = None,
    costs: Costs | None = None,
) -> Iterator[tuple[Costs, AdamState | LBFGSState]]:
    """Move an image (H, W, 3); after each evaluation yield the state, which holds the image taken
    last, and the costs of this image.

    state, costs: what was yielded last, to go on from there instead of from ``image``.
    """
    if state is None:
        state = optimizer.init(image)
    else:
        image = optimizer.trial(state)
    while True:
        if state.image is None or not np.array_equal(image, state.image):  # else it has converged
            found, gradient = objective(image)
            if not np.isfinite(gradient).all():
                found = found._replace(total=math.nan)
            image, state = optimizer.step(image, found.total, gradient, state)
            gradient = None  # its memory is wanted for the next one
            if state.accepted:
                costs = found
        yield costs, state


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
    graphs: Graphs | None = None,
    position: Position | None = None,
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
    graphs: of the same weights, settings and number type, made earlier.
    position: of a Step of the same transfer, to go on after it: what follows is the same bit for
        bit, given the same ``chosen`` and ``plans``.

    Each Step carries the costs of the very image it carries, but that with
    ``preserve_colors="luminance"`` these are the costs before the colours were restored. Raises
    WeightsError for a layer that the network lacks, UsageError for masks of another size or masks
    or weights of another number than the styles, and DivergedError, without yielding it, for an
    image whose cost is not finite.
    """
    settings = settings or Settings()
    began = time.perf_counter() - (position.seconds if position else 0.0)
    if graphs is None:
        chosen = chosen or precision.choose(settings.precision)
        graphs = Graphs(build_vgg(weights, settings, chosen.dtype), settings)
    full = _pictures(content, style, settings, content_masks, style_masks)
    full = replace(full, style_sizes=tuple(style_sizes))
    factors = pyramid.factors(settings, full.size)
    shares = pyramid.iterations(settings, len(factors))
    for scale, (factor, iterations) in enumerate(zip(factors, shares), 1):
        if position and position.iteration >= iterations.stop - 1:
            continue
        pictures = full.scaled(factor)
        objective = Objective(graphs, pictures, plans[scale - 1] if plans else WHOLE)
        of_content = None if content is None else resize(content, pictures.size)
        # A new state for each scale: one that was carried over, resized, made L-BFGS three times
        # worse after as many iterations, and Adam one and a half times.
        optimizer = build_optimizer(settings, pictures.size)
        if position and position.scale == scale:
            iterations = range(position.iteration + 1, iterations.stop)
            evaluated = minimise(objective, optimizer, None, position.optimizer, position.costs)
        else:
            if position:
                image = resize(position.optimizer.image, pictures.size)
            else:
                image = start_image(pictures, weights.mean, settings, start)
            evaluated = minimise(objective, optimizer, image)
            image = None
        for iteration in iterations:
            costs, state = next(evaluated)
            if not math.isfinite(costs.total):
                by_step = settings.optimizer == "adam" and iteration > 0
                slower = "lower --learning_rate, or " if by_step else ""
                raise DivergedError(
                    f"the cost is not finite at iteration {iteration}; {slower}use --precision "
                    "float32"
                )
            picture = colours.restore(state.image, of_content, settings.preserve_colors)
            seconds = time.perf_counter() - began
            position = Position(iteration, scale, seconds, costs, state)
            of = settings.epochs, scale, len(factors)
            yield Step(iteration, *of, picture, costs, seconds, position)
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
    on_step: Callable[[Step], None] = _ignore,
    on_start: Callable[[RunFolder], None] = _ignore,
    studio: Studio | None = None,
    brief: bool = False,
    kept: dict[str, Any] | None = None,
) -> RunFolder:
    """Make the picture of ``job`` in its run folder, and return the folder.

    A run that is finished already is left as it is, an unfinished one is taken up where it was
    saved last; ``dry_run`` makes nothing. ``say`` gets lines for the user, None shows nothing;
    ``on_start`` gets the folder when it is written for the first time, ``on_step`` every Step.
    studio: what earlier jobs of this process used, to be used again. brief: say only what is not
    as usual. kept: number type and tiles of an earlier run that is made again, the ``evaluation``
    of its manifest. Raises NSTError; whatever stops a run, it can go on from where it was saved.
    """
    studio = studio or Studio(weights.find(job.settings.model_path, say))
    return runs.run(job, studio, transfer_style, say or _ignore, on_step, on_start, brief, kept)


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


class NeuralStyleTransfer:
    """One content and one style picture, for use from Python.

    content_path, style_path: picture files, or bare names in ``images/``; no content (None) with
        ``alpha=0, image_size=(width, height)`` makes a texture.
    model_path: VGG weights; None takes the first of the four sources (see README).
    settings: any other field of ``Settings``, for instance ``image_size=512``; ``dry_run`` and
        ``cluster`` have no meaning here.
    folder: the run folder that ``run`` wrote last; its ``path``, its ``picture``.
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
        self.folder: RunFolder | None = None

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
        from nst import gallery  # late: workers and the command line do without it here

        self.folder = run_job(jobs.prepare(settings), say, on_step)
        if gallery.lacks(self.folder.path):
            gallery.write(self.folder.path.parent)
        return self.folder.result()
