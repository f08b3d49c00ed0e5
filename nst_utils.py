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
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import tensorflow as tf

from nst import images, jobs, networks, plan, precision, weights
from nst.errors import DivergedError, MemoryLimitError
from nst.jobs import Job
from nst.objective import Objective
from nst.optimizers import Adam
from nst.precision import Precision
from nst.run_folder import FINISHED, RunFolder
from nst.settings import Settings
from nst.step import Step
from nst.tiling import WHOLE, Plan
from nst.vgg import VGG
from nst.weights import Weights

NOISE = 20.0  # the start image's noise is uniform in -NOISE..NOISE around the mean pixel


# --- The network -----------------------------------------------------------------------------


def build_vgg(weights: Weights, settings: Settings, dtype: tf.DType = tf.float32) -> VGG:
    """Return the network up to the deepest content or style layer of ``settings``.

    Raises WeightsError if the network of ``weights`` lacks one of them.
    """
    outputs = dict(settings.content_layers) | dict(settings.style_layers)
    return VGG(weights, tuple(outputs), settings.pooling, dtype)


# --- Optimisation ------------------------------------------------------------------------------


def start_image(
    content: np.ndarray,
    style: np.ndarray,
    mean: np.ndarray,
    settings: Settings,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """Return the image that the optimisation starts from, (H, W, 3) float32, 0..255.

    content: (H, W, 3), 0..255; style and start: any size, stretched to that of the content. mean:
    the mean pixel, (3,).
    noisy_content is noise_ratio * U(-20, 20) + (1 - noise_ratio) * content, around the mean pixel.
    """
    height, width = content.shape[:2]
    if start is not None or settings.init == "style":
        other = style if start is None else start
        resized = tf.image.resize(other, (height, width), "bicubic", antialias=True)
        return np.clip(resized.numpy(), 0, 255)
    ratio = {"content": 0.0, "noise": 1.0}.get(settings.init, settings.noise_ratio)
    random = np.random.default_rng(settings.seed)
    image = np.empty(content.shape, np.float32)
    for row, of_content in zip(image, content):  # by rows, to need little memory
        noise = random.uniform(-NOISE, NOISE, row.shape)
        row[:] = np.clip(mean + ratio * noise + (1 - ratio) * (of_content - mean), 0, 255)
    return image


def build_optimizer(settings: Settings) -> Adam:
    """Return the optimizer of ``settings``."""
    return Adam(settings.learning_rate)


def transfer_style(
    content: np.ndarray,
    style: np.ndarray,
    weights: Weights,
    settings: Settings | None = None,
    *,
    start: np.ndarray | None = None,
    chosen: Precision | None = None,
    tiling: Plan = WHOLE,
) -> Iterator[Step]:
    """Repaint ``content`` in the style of ``style``; yield the start image and every iteration.

    content, style: (H, W, 3), sRGB, 0..255; their sizes may differ.
    settings: weights of the cost, layers, start, epochs; the default settings if None.
    start: (H, W, 3) image to start from instead of ``settings.init``, any size.
    chosen: number type of the convolutions, if it was chosen already.
    tiling: how the evaluation is cut into tiles; the result does not depend on it.

    Each Step carries the costs of the very image it carries. Raises WeightsError for a layer that
    the network lacks, and DivergedError, without yielding it, for an image whose cost is not
    finite.
    """
    settings = settings or Settings()
    chosen = chosen or precision.choose(settings.precision)
    vgg = build_vgg(weights, settings, chosen.dtype)
    began = time.perf_counter()
    objective = Objective(vgg, content, style, settings, tiling)
    optimizer = build_optimizer(settings)
    image = start_image(content, style, weights.mean, settings, start)
    state = optimizer.init(image)
    gradient = np.zeros_like(image)
    for iteration in range(settings.epochs + 1):
        if iteration:
            image, state = optimizer.step(image, gradient, state)
            gradient = None  # its memory is wanted for the next one
        costs, gradient = objective(image)
        if not math.isfinite(costs.total):
            raise DivergedError(
                f"the cost is not finite at iteration {iteration}; lower --learning_rate, or use "
                "--precision float32"
            )
        seconds = time.perf_counter() - began
        yield Step(iteration, settings.epochs, 1, image, costs, seconds)


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
    wanted = dict(settings.content_layers + settings.style_layers)
    networks.layers_up_to(network.network, wanted)  # before anything is made: does it have them?
    chosen = precision.choose(job.settings.precision)
    size, style_size = job.content.rgb.shape[:2], job.style.rgb.shape[:2]
    foretold = plan.choose(job.settings, network.network, chosen.dtype.name, size, style_size)
    say(f"Content   {_described(job.content)}")
    say(f"Style     {_described(job.style)}")
    say(f"Network   {network.network} ({file.source}, SHA-256 {file.sha256[:12]})")
    say(f"Precision {chosen.dtype.name} ({chosen.reason})")
    for line in plan.describe(foretold, job.settings.epochs, chosen.rate):
        say(line)
    if job.settings.dry_run:
        return folder
    if folder.unfinished:
        say(f"{folder.path}: an unfinished run is started again.")
    last = None
    try:
        if not folder.begin(
            network={"name": network.network, "source": file.source, "sha256": file.sha256},
            precision=chosen.dtype.name,
            size={"width": size[1], "height": size[0]},
            tiles=foretold.tiles,
            foretold_memory_bytes=round(foretold.memory),
        ):
            return folder
        for step in transfer_style(
            job.content.rgb,
            job.style.rgb,
            network,
            job.settings,
            start=job.start.rgb if job.start else None,
            chosen=chosen,
            tiling=foretold.plan,
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
            f"{job.content.path}: not enough memory; use a smaller --image_size or --max_memory"
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


def _described(picture: images.Picture) -> str:
    height, width = picture.rgb.shape[:2]
    description = f"{picture.path}, {width} x {height}"
    if picture.file_size != (width, height):
        description += " from {} x {}".format(*picture.file_size)
    return "; ".join((description, *picture.notes))


class NeuralStyleTransfer:
    """One content and one style picture, for use from Python.

    content_path, style_path: picture files, or bare names in ``images/``.
    model_path: VGG weights; None takes the first of the four sources (see README).
    settings: any other field of ``Settings``, for instance ``image_size=512``; ``dry_run`` has no
        meaning here.
    """

    def __init__(
        self, content_path: str, style_path: str, model_path: str | None = None, **settings: object
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
