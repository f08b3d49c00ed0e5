"""Neural style transfer by optimisation, after Gatys, Ecker and Bethge.

[1] A Neural Algorithm of Artistic Style, 2015 (arXiv:1508.06576).
[2] Image Style Transfer Using Convolutional Neural Networks, CVPR 2016.

The file follows the paper: the VGG network, the content cost, the Gram matrix, the style cost,
the total cost and its gradient, the optimizer, and the loop that moves the picture.

    from nst_utils import NeuralStyleTransfer
    image = NeuralStyleTransfer("photo.jpg", "painting.jpg").run(num_iterations=300)
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from nst import images, jobs, precision, weights
from nst.errors import DivergedError, MemoryLimitError
from nst.jobs import Job
from nst.optimizers import Adam
from nst.precision import Precision
from nst.run_folder import FINISHED, RunFolder
from nst.settings import Settings
from nst.vgg import VGG
from nst.weights import Weights

BLOCK = 1024  # positions of a bfloat16 layer that are multiplied at a time
NOISE = 20.0  # the start image's noise is uniform in -NOISE..NOISE around the mean pixel


class Costs(NamedTuple):
    """J = alpha J_content + beta J_style + tv_weight J_tv, and its unweighted parts."""

    total: float
    content: float
    style: float
    tv: float


@dataclass(frozen=True)
class Step:
    """The picture after ``iteration`` steps of the optimizer, and the costs of this picture.

    iteration: 0 (start image) .. epochs.
    scale: number of the scale that is worked on, from 1.
    image: (H, W, 3) float32, sRGB, 0..255.
    seconds: since the first evaluation began.
    """

    iteration: int
    epochs: int
    scale: int
    image: np.ndarray
    costs: Costs
    seconds: float


# --- The network -----------------------------------------------------------------------------


def build_vgg(weights: Weights, settings: Settings, dtype: tf.DType = tf.float32) -> VGG:
    """Return the network up to the deepest content or style layer of ``settings``.

    Raises WeightsError if the network of ``weights`` lacks one of them.
    """
    outputs = dict(settings.content_layers) | dict(settings.style_layers)
    return VGG(weights, tuple(outputs), settings.pooling, dtype)


# --- Content cost ------------------------------------------------------------------------------


def content_cost(target: tf.Tensor, generated: tf.Tensor) -> tf.Tensor:
    """Distance of two activations of one layer, each (1, H, W, C); float32 scalar.

    J_content = 1 / (4 H W C) * sum (a_C - a_G)^2 ([1], equation 1, but for the constant).
    """
    difference = tf.cast(generated, tf.float32) - tf.cast(target, tf.float32)
    return tf.reduce_sum(tf.square(difference)) / (4.0 * math.prod(target.shape))


# --- Style cost --------------------------------------------------------------------------------


@tf.custom_gradient
def gram_matrix(activation: tf.Tensor) -> tuple[tf.Tensor, Callable]:
    """Correlations of the channels of a layer, G = F^T F ([1], equation 3).

    activation: (1, H, W, C), any float type. Returns (C, C) float32, not divided by H W.
    """
    channels = activation.shape[-1]
    features = tf.reshape(activation, (-1, channels))  # (H W, C)
    blocks = features.shape[0] // BLOCK if features.dtype == tf.bfloat16 else 0
    rest = tf.cast(features[blocks * BLOCK :], tf.float32)
    gram = tf.matmul(rest, rest, transpose_a=True)  # (C, C)
    if blocks:
        # Products of bfloat16 blocks, summed in float32: as exact as casting first, and faster.
        block = tf.reshape(features[: blocks * BLOCK], (blocks, BLOCK, channels))
        products = tf.matmul(block, block, transpose_a=True)  # (blocks, C, C)
        gram += tf.reduce_sum(tf.cast(products, tf.float32), axis=0)

    def gradient(d_gram: tf.Tensor) -> tf.Tensor:
        # dJ/dF = F (R + R^T) with R = dJ/dG: one product in the type of the convolutions, with
        # nothing to accumulate over positions.
        both = tf.cast(d_gram + tf.transpose(d_gram), features.dtype)
        return tf.reshape(tf.matmul(features, both), tf.shape(activation))

    return gram, gradient


def style_statistics(activation: tf.Tensor) -> tf.Tensor:
    """Gram matrix per position, (C, C) float32: independent of the size of the picture."""
    positions = activation.shape[1] * activation.shape[2]
    return gram_matrix(activation) / positions


def style_layer_cost(target: tf.Tensor, generated: tf.Tensor) -> tf.Tensor:
    """Distance of two Gram matrices per position, each (C, C) float32; float32 scalar.

    J_style^l = 1 / (4 C^2 (H W)^2) * sum (G_S - G_G)^2 ([1], equation 4), where each Gram matrix is
    divided by the H W of its own picture.
    """
    channels = target.shape[0]
    return tf.reduce_sum(tf.square(generated - target)) / (4.0 * channels**2)


# --- Total cost --------------------------------------------------------------------------------


def total_variation_cost(image: tf.Tensor) -> tf.Tensor:
    """Mean over pixels of the absolute differences to the pixels right and below; float32 scalar.

    image: (H, W, 3), 0..255. Anisotropic total variation (Rudin, Osher and Fatemi 1992).
    """
    return tf.image.total_variation(image) / (image.shape[0] * image.shape[1])


class Objective:
    """The total cost of a picture, and its gradient with respect to the picture's pixels.

    J(G) = alpha J_content(C, G) + beta J_style(S, G) + tv_weight J_tv(G) ([1], equation 7).
    Costs, Gram matrices and the gradient that comes out are float32 whatever the network's type.
    """

    def __init__(
        self, vgg: VGG, content: np.ndarray, style: np.ndarray, settings: Settings
    ) -> None:
        """Compute the targets: activations of the content, Gram matrices of the style.

        content, style: (H, W, 3) float32, sRGB, 0..255; their sizes may differ.
        """
        self.vgg = vgg
        self.settings = settings
        activations = vgg(tf.constant(content))
        self.content_targets = {layer: activations[layer] for layer, _ in settings.content_layers}
        activations = vgg(tf.constant(style))
        self.style_targets = {
            layer: style_statistics(activations[layer]) for layer, _ in settings.style_layers
        }

    @tf.function
    def __call__(self, image: tf.Tensor) -> tuple[Costs, tf.Tensor]:
        """Return the costs of an image (H, W, 3) float32, 0..255, and dJ/dimage, (H, W, 3)."""
        with tf.GradientTape(watch_accessed_variables=False) as network_tape:
            network_tape.watch(image)
            activations = self.vgg(image)
        if self.vgg.dtype == tf.float16:
            # The slopes of the cost do not fit float16 as they are: cast them below, scaled.
            leaves = {layer: tf.cast(a, tf.float32) for layer, a in activations.items()}
        else:
            leaves = activations
        with tf.GradientTape(watch_accessed_variables=False) as cost_tape:
            cost_tape.watch((image, leaves))
            costs = self._costs(image, leaves)
        slopes, tv_gradient = cost_tape.gradient(costs.total, (leaves, image))
        scale = 1.0
        if self.vgg.dtype == tf.float16:
            slopes, scale = _fit_float16(slopes)
            slopes = {layer: tf.cast(s, activations[layer].dtype) for layer, s in slopes.items()}
        gradient = network_tape.gradient(activations, image, output_gradients=slopes)
        return costs, gradient / scale + tv_gradient

    def _costs(self, image: tf.Tensor, activations: dict[str, tf.Tensor]) -> Costs:
        settings = self.settings
        content = tf.add_n(
            [
                weight * content_cost(self.content_targets[layer], activations[layer])
                for layer, weight in settings.content_layers
            ]
        )
        style = tf.add_n(
            [
                weight
                * style_layer_cost(self.style_targets[layer], style_statistics(activations[layer]))
                for layer, weight in settings.style_layers
            ]
        )
        tv = total_variation_cost(image)
        total = settings.alpha * content + settings.beta * style + settings.tv_weight * tv
        return Costs(total, content, style, tv)


def _fit_float16(slopes: dict[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """Scale float32 slopes by a common power of two into the middle of float16's range."""
    largest = tf.reduce_max([tf.reduce_max(tf.abs(slope)) for slope in slopes.values()])
    exponent = tf.round(tf.math.log(16.0 / tf.maximum(largest, 1e-30)) / math.log(2.0))
    scale = tf.pow(2.0, exponent)
    return {layer: slope * scale for layer, slope in slopes.items()}, scale


# --- Optimisation ------------------------------------------------------------------------------


def start_image(
    content: np.ndarray,
    style: np.ndarray,
    mean: np.ndarray,
    settings: Settings,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """Return the image that the optimisation starts from, (H, W, 3) float32, 0..255.

    content: (H, W, 3) float32, 0..255; style and start: any size. mean: the mean pixel, (3,).
    noisy_content is noise_ratio * U(-20, 20) + (1 - noise_ratio) * content, around the mean pixel.
    """
    height, width = content.shape[:2]
    if start is not None or settings.init == "style":
        other = style if start is None else start
        resized = tf.image.resize(other, (height, width), "bicubic", antialias=True)
        return np.clip(resized.numpy(), 0, 255)
    ratio = {"content": 0.0, "noise": 1.0}.get(settings.init, settings.noise_ratio)
    random = np.random.default_rng(settings.seed)
    noise = random.uniform(-NOISE, NOISE, content.shape).astype(np.float32)
    image = mean + ratio * noise + (1 - ratio) * (content - mean)
    return np.clip(image, 0, 255).astype(np.float32)


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
) -> Iterator[Step]:
    """Repaint ``content`` in the style of ``style``; yield the start image and every iteration.

    content, style: (H, W, 3) float32, sRGB, 0..255; their sizes may differ.
    settings: weights of the cost, layers, start, epochs; the default settings if None.
    start: (H, W, 3) image to start from instead of ``settings.init``, any size.
    chosen: number type of the convolutions, if it was chosen already.

    Each Step carries the costs of the very image it carries. Raises WeightsError for a layer that
    the network lacks, and DivergedError, without yielding it, for an image whose cost is not
    finite.
    """
    settings = settings or Settings()
    chosen = chosen or precision.choose(settings.precision)
    vgg = build_vgg(weights, settings, chosen.dtype)
    began = time.perf_counter()
    objective = Objective(vgg, content, style, settings)
    optimizer = build_optimizer(settings)
    image = tf.constant(start_image(content, style, weights.mean, settings, start))
    state = optimizer.init(image)
    gradient = tf.zeros_like(image)
    for iteration in range(settings.epochs + 1):
        if iteration:
            image, state = optimizer.step(image, gradient, state)
        evaluated, gradient = objective(image)
        costs = Costs(*(float(cost) for cost in evaluated))
        if not math.isfinite(costs.total):
            raise DivergedError(
                f"the cost is not finite at iteration {iteration}; lower --learning_rate, or use "
                "--precision float32"
            )
        seconds = time.perf_counter() - began
        yield Step(iteration, settings.epochs, 1, image.numpy(), costs, seconds)


def make_deterministic() -> None:
    """Let TensorFlow take only operations that give the same bits on every run, on GPUs too.

    On processors the operations used here do so anyway. The switch is for the whole process, so
    the command line sets it and a program that uses this module decides for itself.
    """
    tf.config.experimental.enable_op_determinism()


# --- A run with its folder ---------------------------------------------------------------------


def run_job(
    job: Job,
    say: Callable[[str], None] = lambda line: None,
    on_step: Callable[[Step], None] = lambda step: None,
) -> RunFolder:
    """Make the picture of ``job`` in its run folder, and return the folder.

    A run that is finished already is left as it is. ``say`` gets lines for the user, ``on_step``
    every Step. Raises NSTError; an interrupted or diverged run keeps its last frame.
    """
    file = weights.find(job.settings.model_path, say)
    folder = RunFolder(job, file)
    if folder.finished:
        return folder
    network = weights.load(file)
    build_vgg(network, job.settings)  # before anything is made: does it have the layers?
    chosen = precision.choose(job.settings.precision)
    say(f"Content   {_described(job.content)}")
    say(f"Style     {_described(job.style)}")
    say(f"Network   {network.network} ({file.source}, SHA-256 {file.sha256[:12]})")
    say(f"Precision {chosen.dtype.name} ({chosen.reason})")
    if folder.unfinished:
        say(f"{folder.path}: an unfinished run is started again.")
    last = None
    try:
        folder.begin(
            network={"name": network.network, "source": file.source, "sha256": file.sha256},
            precision=chosen.dtype.name,
            size={"width": job.content.rgb.shape[1], "height": job.content.rgb.shape[0]},
        )
        for step in transfer_style(
            job.content.rgb,
            job.style.rgb,
            network,
            job.settings,
            start=job.start.rgb if job.start else None,
            chosen=chosen,
        ):
            last = step
            folder.record(step)
            on_step(step)
        folder.end(FINISHED, last)
    except (DivergedError, KeyboardInterrupt) as stop:
        if last is not None:
            folder.end("diverged" if isinstance(stop, DivergedError) else "interrupted", last)
        raise
    except (MemoryError, tf.errors.ResourceExhaustedError):
        raise MemoryLimitError(
            f"{job.content.path}: not enough memory at this size; use a smaller --image_size"
        ) from None
    finally:
        folder.close()
    return folder


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
    settings: any other field of ``Settings``, for instance ``image_size=512, alpha=5``.
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
    ) -> np.ndarray:
        """Make the picture in its run folder below ``output/``, as the command line does.

        num_iterations: instead of ``epochs``. ``on_step`` gets every Step.
        Returns the picture, (H, W, 3) uint8 sRGB. Raises NSTError.
        """
        settings = self.settings
        if num_iterations is not None:
            settings = replace(settings, epochs=num_iterations)
        return run_job(jobs.prepare(settings), on_step=on_step).result()
