"""Neural style transfer by optimisation, after Gatys, Ecker and Bethge.

[1] A Neural Algorithm of Artistic Style, 2015 (arXiv:1508.06576).
[2] Gatys et al., Controlling Perceptual Factors in Neural Style Transfer, CVPR 2017.

The method, in the order of [1]: the VGG network, the content cost, the Gram matrix, the style cost,
the total cost and its gradient, the start image, the optimizer, and the loop that moves the image.
``nst_main.py`` runs what stands here. ``nst.engine`` holds optimizers, masks, colours, scales, and
evaluates J whole or by tiles; it knows the costs by a protocol (``nst.engine.cost_protocols``).

    from nst_utils import NeuralStyleTransfer
    image = NeuralStyleTransfer("photo.jpg", "painting.jpg").run(num_iterations=300)

Shapes: H, W pixels of a picture; h, w positions of an activation F of a layer with C channels. The
paper's N_l is C, its M_l is h w, and its F (N, M) is the transpose of F (h w, C) here.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pkgutil import resolve_name
from typing import Any

import numpy as np

import nst.engine.tensorflow_alone  # noqa: F401 (before all that import TensorFlow)
from nst.engine import colours, hypercolumns, neighbour_search, precision
from nst.engine.borders import border_width
from nst.engine.cost_protocols import Cost, Term
from nst.engine.eager import check_eager
from nst.engine.evaluation import Evaluation
from nst.engine.inputs import TransferInputs, prepare_inputs
from nst.engine.lbfgs import LBFGS
from nst.engine.objective import Objective
from nst.engine.optimizers import Optimizer, OptimizerState, on_device, optimizer_class
from nst.engine.products import product
from nst.engine.scales import last_rounds, scale_factors, scale_iterations
from nst.engine.step import Costs, LazyImage, Position, Step
from nst.engine.tensorflow_alone import tf
from nst.engine.tile_graphs import TileGraphs
from nst.engine.tiling import WHOLE, Tiling
from nst.errors import DivergedError, UsageError
from nst.options import START_WORDS
from nst.pictures.resize import resize
from nst.settings import Settings
from nst.style_losses import STYLE_LOSSES
from nst.vgg.layers import channels, layers_up_to
from nst.vgg.weights import Weights

NOISE = 20.0  # the start image's noise is uniform in -NOISE..NOISE around the mean pixel


# --- The network -----------------------------------------------------------------------------


class VGG:
    """A VGG network with fixed weights, cut after the deepest of ``outputs``.

    The network of Simonyan and Zisserman (2015) without its classifier: each convolution is 3 x 3
    with zero padding and a ReLU, each pool halves height and width, rounding up. The activation
    called ``conv4_2`` is the one after its ReLU.
    """

    def __init__(
        self,
        weights: Weights,
        outputs: Sequence[str],
        pooling: str = "avg",
        dtype: tf.DType = tf.float32,
    ) -> None:
        """Prepare the network.

        outputs: names of the layers whose activations are wanted.
        pooling: ``avg`` ([1], section Methods) or ``max``.
        dtype: of the convolutions. conv1_1 is float32 always: it is less than a hundredth of the
            work, and pixels rounded to eight bits of mantissa would be the largest error of all.
        Raises WeightsError for a layer that the network lacks.
        """
        self.outputs = tuple(outputs)
        self.dtype = dtype
        self.layers = layers_up_to(weights.network, outputs)
        self._pool = tf.nn.avg_pool2d if pooling == "avg" else tf.nn.max_pool2d
        self._pools_by_mean = pooling == "avg"
        self._mean = tf.constant(weights.mean)
        self._weights = {
            layer: [
                tf.constant(array, tf.float32 if layer == "conv1_1" else dtype)
                for array in weights.layers[layer]
            ]
            for layer in self.layers
            if layer in weights.layers
        }

    def __call__(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the activations of an image (H, W, 3), sRGB, 0..255.

        {layer: (1, h, w, C) of ``dtype``} for ``outputs``.
        """
        activations = self.run(image, self.layers)
        return {layer: activations[layer] for layer in self.outputs}

    def run(self, x: tf.Tensor, layers: Sequence[str]) -> dict[str, tf.Tensor]:
        """Return the activations of consecutive layers, {layer: (1, h, w, C) of ``dtype``}.

        x: what comes before the first of ``layers``: an image (H, W, 3) as above, or an activation
        (h, w, C) of ``dtype``.
        """
        x = x[tf.newaxis]  # (1, h, w, C)
        activations = {}
        for layer in layers:
            if layer in self._weights:
                if layer == "conv1_1":
                    x = tf.cast(x, tf.float32) - self._mean  # (1, H, W, 3)
                kernel, bias = self._weights[layer]  # (3, 3, C_in, C), (C,)
                x = tf.nn.conv2d(x, kernel, strides=1, padding="SAME")  # (1, h, w, C)
                x = tf.nn.relu(tf.cast(tf.nn.bias_add(x, bias), self.dtype))
            else:
                x = self._pool(x, ksize=2, strides=2, padding="SAME")  # (1, h / 2, w / 2, C)
            activations[layer] = x
        return activations

    def backpropagate(
        self,
        x: tf.Tensor,
        layers: Sequence[str],
        activations: Mapping[str, tf.Tensor],
        gradients: Mapping[str, tf.Tensor],
    ) -> tf.Tensor:
        """Return the gradient of J with respect to ``x``, of its shape and dtype.

        activations: of ``run(x, layers)``. gradients: dJ/dF of the terms in each layer that has
        any, the last among them, (1, h, w, C) of ``dtype``.
        """
        upstream: tf.Tensor | None = None  # gradient from the layers after this one
        for layer, before in zip(reversed(layers), [*reversed(layers[:-1]), None]):
            parts = [part for part in (upstream, gradients.get(layer)) if part is not None]
            gradient = parts[0] if len(parts) == 1 else parts[0] + parts[1]
            read = x[tf.newaxis] if before is None else activations[before]
            if layer in self._weights:
                # Where F is 0 the ReLU stops the gradient.
                gradient = tf.raw_ops.ReluGrad(gradients=gradient, features=activations[layer])
                kernel = self._weights[layer][0]
                if layer == "conv1_1" and self.dtype == tf.float16:  # beyond its range
                    gradient = tf.cast(gradient, tf.float32)
                upstream = tf.nn.conv2d_transpose(
                    gradient,
                    tf.cast(kernel, gradient.dtype),
                    tf.shape(read),
                    strides=1,
                    padding="SAME",
                )  # (1, h, w, C_in)
            else:
                upstream = self._unpool(gradient, read, activations[layer])
        assert upstream is not None  # there is a layer
        return tf.cast(upstream[0], x.dtype)

    def _unpool(self, gradient: tf.Tensor, read: tf.Tensor, pooled: tf.Tensor) -> tf.Tensor:
        """Gradient with respect to what a pool has read, from that of what it has made."""
        window = {"ksize": [1, 2, 2, 1], "strides": [1, 2, 2, 1], "padding": "SAME"}
        if self._pools_by_mean:
            return tf.raw_ops.AvgPoolGrad(orig_input_shape=tf.shape(read), grad=gradient, **window)
        return tf.raw_ops.MaxPoolGrad(orig_input=read, orig_output=pooled, grad=gradient, **window)


def build_vgg(weights: Weights, settings: Settings, dtype: tf.DType = tf.float32) -> VGG:
    """Return the network up to the deepest layer that ``settings`` need.

    Raises WeightsError if the network of ``weights`` lacks one of them.
    """
    return VGG(weights, settings.used_layers, settings.pooling, dtype)


# --- The content cost --------------------------------------------------------------------------


@dataclass(frozen=True)
class ContentCost:
    """J_content of one layer: 1/(4 h w C) * sum (F - P)^2, P of the content ([1], equation 1).

    The paper has 1/2 in place of 1/(4 h w C), which makes the cost depend on the size.
    """

    channels: int
    compares_positions = True
    cells = 1

    @property
    def scale(self) -> float:
        """1/(4 C)."""
        return 1 / (4 * self.channels)

    def target_spec(self, dtype: tf.DType) -> tf.TensorSpec:
        """The content's activation, (1, h, w, C)."""
        return tf.TensorSpec((1, None, None, self.channels), dtype)

    def kept(self, F: tf.Tensor) -> tf.Tensor:
        """An activation as it is."""
        return F

    def sums(self, F: tf.Tensor, P: tf.Tensor, guide: tf.Tensor | None = None) -> tf.Tensor:
        """Sum of the squared differences to the content, a scalar. guide: (h, w, 1), 0..1."""
        difference = tf.cast(F, tf.float32) - tf.cast(P, tf.float32)  # (1, h, w, C)
        squares = tf.square(difference)
        return tf.reduce_sum(squares if guide is None else squares * guide)

    def value(self, mean: tf.Tensor, target: None = None) -> tf.Tensor:
        """J_content of the layer, a scalar. mean: ``sums`` divided by h w."""
        return self.scale * mean

    def dvalue(
        self, mean: tf.Tensor, target: None, weight: float, positions: tf.Tensor
    ) -> tf.Tensor:
        """Derivative of weight * J_content with respect to ``sums``, a scalar."""
        return weight * self.scale / positions

    def gradient(
        self, F: tf.Tensor, P: tf.Tensor, dsums: tf.Tensor, guide: tf.Tensor | None = None
    ) -> tf.Tensor:
        """dJ/dF = 2 dJ/dsum (F - P), (1, h, w, C) float32 ([1], equation 2).

        Where F is 0 the ReLU before it stops the gradient, as the paper's case F < 0 says.
        """
        gradient = 2 * dsums * (tf.cast(F, tf.float32) - tf.cast(P, tf.float32))
        return gradient if guide is None else gradient * guide


# --- The Gram matrix ---------------------------------------------------------------------------


def gram_matrix(F: tf.Tensor, guide: tf.Tensor | None = None) -> tf.Tensor:
    """Correlations of the channels of a layer, G = F^T F, (C, C) float32 ([1], equation 3).

    F: (1, h, w, C), any float type. guide: (h, w, 1), 0..1: how much each position counts, a guided
    Gram matrix F^T diag(guide) F ([2], equation 5, whose guidance channel is the square root of
    this guide). Not divided by h w, or by the sum of the guide.
    """
    F = tf.reshape(F, (-1, F.shape[-1]))  # (h w, C)
    if F.dtype == tf.float16:  # its range is too small for sums
        F = tf.cast(F, tf.float32)
    guided = F
    if guide is not None:
        guided = F * tf.cast(tf.reshape(guide, (-1, 1)), F.dtype)  # (h w, C) by (h w, 1)
    return product(F, guided)  # F^T diag(guide) F, (C, C)


# --- The style cost ----------------------------------------------------------------------------


@dataclass(frozen=True)
class StyleCost:
    """J_style of one layer: 1/(4 C^2) * sum (G - A)^2 ([1], equation 4).

    G and A, of the image and of the style, are Gram matrices per position: the paper's 1/(h w)^2 is
    in them, and each picture has its own h w. Of a region, h w is the sum of its guide.
    """

    channels: int
    compares_positions = False

    @property
    def scale(self) -> float:
        """1/(4 C^2)."""
        return 1 / (4 * self.channels**2)

    def sums(self, F: tf.Tensor, P: None = None, guide: tf.Tensor | None = None) -> tf.Tensor:
        """The Gram matrix, (C, C)."""
        return gram_matrix(F, guide)

    def target(self, A: tf.Tensor) -> tf.Tensor:
        """The Gram matrix of the style, per position."""
        return A

    def value(self, G: tf.Tensor, A: tf.Tensor) -> tf.Tensor:
        """J_style of the layer, a scalar."""
        return self.scale * tf.reduce_sum(tf.square(G - A))

    def value_and_dvalue(
        self, G: tf.Tensor, A: tf.Tensor, weight: float, positions: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Both."""
        return self.value(G, A), self.dvalue(G, A, weight, positions)

    def dvalue(self, G: tf.Tensor, A: tf.Tensor, weight: float, positions: tf.Tensor) -> tf.Tensor:
        """Derivative of weight * J_style with respect to ``sums``, (C, C), symmetric."""
        return weight * (2 * self.scale * (G - A) / positions)

    def gradient(
        self, F: tf.Tensor, P: None, dsums: tf.Tensor, guide: tf.Tensor | None = None
    ) -> tf.Tensor:
        """dJ/dF = 2 guide F dJ/dG, (1, h, w, C) ([1], equation 6).

        In the dtype of F, as nothing is summed over positions.
        """
        shape = tf.shape(F)
        F = tf.reshape(F, (-1, F.shape[-1]))  # (h w, C)
        if F.dtype == tf.float16:  # its range is too small
            F = tf.cast(F, tf.float32)
        gradient = tf.matmul(F, tf.cast(2 * dsums, F.dtype))  # (h w, C) by (C, C)
        if guide is not None:
            gradient *= tf.cast(tf.reshape(guide, (-1, 1)), F.dtype)  # (h w, C) by (h w, 1)
        return tf.reshape(gradient, shape)  # (1, h, w, C)


def style_cost_class(loss: str) -> Callable[..., Cost]:
    """The class of a word of ``--style_loss``: ``StyleCost``, or another one in its place."""
    return resolve_name(STYLE_LOSSES[loss].cost)


# --- The total cost ----------------------------------------------------------------------------


@dataclass(frozen=True)
class TotalVariation:
    """J_tv: mean over pixels, sum over colours, of absolute differences to right and lower pixels.

    Anisotropic total variation (Rudin, Osher and Fatemi 1992).
    """

    weight: float

    def add_gradient(
        self, image: tf.Tensor, gradient: tf.Tensor, visible: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return J_tv of an image, a scalar, and ``gradient`` plus ``weight`` times its own.

        image, gradient: (H, W, 3) float32, 0..255. visible: (H, W, 1), 0..1: a difference counts by
        the product of its two pixels.
        """
        pixels = tf.cast(tf.shape(image)[0] * tf.shape(image)[1], tf.float32)
        total = tf.zeros(())
        for axis in (0, 1):
            lower, upper = _adjacent(image, axis)
            difference = lower - upper
            sign = tf.sign(difference)
            if visible is not None:
                sign *= tf.multiply(*_adjacent(visible, axis))
            total += tf.reduce_sum(sign * difference)
            if self.weight:
                sign *= self.weight / pixels
                before = [[int(axis == n), 0] for n in range(3)]
                after = [[0, int(axis == n)] for n in range(3)]
                gradient += tf.pad(sign, before) - tf.pad(sign, after)
        return total / pixels, gradient


def _adjacent(image: tf.Tensor, axis: int) -> tuple[tf.Tensor, tf.Tensor]:
    """All pixels of (H, W, C) but the first along an axis, and all but the last."""
    return (image[1:], image[:-1]) if axis == 0 else (image[:, 1:], image[:, :-1])


class TotalCost:
    """J = alpha J_content + beta J_style + tv_weight J_tv ([1], equation 7, with J_tv added).

    J_content and J_style are sums over layers, each with its share.

    Run with --overwrite after a change here: a run folder does not know the code of a cost.

    The gradient, for every term (``nst.engine.tile_graph.TileGraph``, which does it by tiles):
    sums of F -> J and dJ/dsums (``value``, ``dvalue``) -> dJ/dF (``gradient``) -> dJ/dimage, by
    backpropagation through the network.
    """

    def __init__(self, settings: Settings) -> None:
        self.weights = {"content": settings.alpha, "style": settings.beta}
        self.image_cost = TotalVariation(settings.tv_weight)
        content = [
            Term("content", layer, ContentCost(channels(layer)), share, self.weights["content"])
            for layer, share in settings.used_content_layers
        ]
        self.style_layers = [layer for layer, _ in settings.used_style_layers]
        self.terms = (*content, *self._style_terms(settings))
        self.last_terms: tuple[Term, ...] = ()
        if settings.loss.schedule.rounds:
            self.last_terms = (*content, *self._style_terms(settings, last_pass=True))

    def _style_terms(self, settings: Settings, last_pass: bool = False) -> tuple[Term, ...]:
        """A term for each style layer, or for each that is compared in the last pass."""
        style_cost, shares = style_cost_class(settings.style_loss), settings.used_style_layers
        if settings.loss.matches:
            cells = hypercolumns.layer_cells(self.style_layers, last_pass)
            costs = {layer: style_cost(channels(layer), cells[layer]) for layer in cells}
        else:
            costs = {layer: style_cost(channels(layer)) for layer in self.style_layers}
        return tuple(
            Term("style", layer, costs[layer], share, self.weights["style"])
            for layer, share in shares
            if layer in costs
        )

    def costs(self, values: Mapping[str, tf.Tensor], image_cost: tf.Tensor) -> Costs:
        """J and its parts, float64 scalars. values: share * cost of each term, by key.

        image_cost: J_tv.
        """
        values = {key: tf.cast(value, tf.float64) for key, value in values.items()}
        image_cost = tf.cast(image_cost, tf.float64)
        zero = tf.zeros((), tf.float64)
        content, style_layers = zero, dict.fromkeys(self.style_layers, zero)
        terms = self.terms if self.terms[0].key in values else self.last_terms
        for term in terms:
            if term.part == "content":
                content += values[term.key]
            else:
                style_layers[term.layer] += values[term.key]
        style = tf.add_n([zero, *style_layers.values()])
        total = self.weights["content"] * content + self.weights["style"] * style
        total += self.image_cost.weight * image_cost
        return Costs(total, content, style, image_cost, tuple(style_layers.values()))


def build_graphs(weights: Weights, settings: Settings, dtype: tf.DType = tf.float32) -> TileGraphs:
    """Return the graphs of J of ``settings``, for pictures of any size and in any style."""
    check_eager()
    network = build_vgg(weights, settings, dtype)
    border = border_width(settings.padding, network.layers)
    return TileGraphs(network, TotalCost(settings), border)


def make_objective(
    graphs: TileGraphs,
    inputs: TransferInputs,
    tiling: Tiling,
    settings: Settings,
    anchor: np.ndarray | None = None,
    last_pass: bool = False,
) -> Objective:
    """Return J of ``settings`` for pictures of the size of ``inputs``.

    anchor: where positions are matched, the picture (H, W, 3) whose positions look for their
    features beside the content's, None at the first scale; in the last pass (last_pass) in its
    place.
    """
    targets = None
    if settings.loss.matches:
        targets = neighbour_search.find_targets(graphs, inputs, tiling, anchor, last_pass)
    return Objective(graphs, inputs, tiling, targets, last_pass)


# --- The start image ---------------------------------------------------------------------------


def start_image(
    inputs: TransferInputs, mean: np.ndarray, settings: Settings, start: np.ndarray | None = None
) -> np.ndarray:
    """Return the image that the optimisation starts from, (H, W, 3) float32, 0..255.

    noisy_content is noise_ratio * U(-20, 20) + (1 - noise_ratio) * content, around the mean pixel.
    mean: the mean pixel, (3,). start: (H, W, 3) of any size instead of ``settings.init``; it and
    the first style are stretched to the size of ``inputs``.
    """
    if start is None and settings.init not in START_WORDS:
        raise UsageError(f"init: {settings.init} is a picture file; give its pixels as start")
    if start is None and settings.init == "style":
        if not inputs.styles:
            raise UsageError("init: there is no style to start from")
        start = inputs.styles[0]
    if start is not None:
        start = colours.prepare(start, settings.preserve_colors)
        return np.array(resize(start, inputs.size), np.float32)
    ratio = {"content": 0.0, "noise": 1.0}.get(settings.init, settings.noise_ratio)
    content = mean if ratio == 1 else inputs.content
    if content is None:
        raise UsageError("init: there is no content to start from")
    random = np.random.default_rng(settings.seed)
    image = np.empty((*inputs.size, 3), np.float32)
    # By rows, to need little memory.
    for row, content_row in zip(image, np.broadcast_to(content, image.shape)):
        noise = random.uniform(-NOISE, NOISE, row.shape)  # (W, 3)
        row[:] = np.clip(mean + ratio * noise + (1 - ratio) * (content_row - mean), 0, 255)
    return image


# --- The optimizer and the loop ----------------------------------------------------------------


def build_optimizer(
    settings: Settings, size: tuple[int, int], last_pass: bool = False
) -> Optimizer:
    """Return the optimizer of ``settings`` for images of ``size``, (height, width)."""
    optimizer = optimizer_class(settings.optimizer).create(settings, size)
    schedule = settings.loss.schedule
    first_step = schedule.last_first_step if last_pass else schedule.first_step
    if first_step is not None and isinstance(optimizer, LBFGS):
        optimizer = replace(optimizer, first=first_step)
    return optimizer


def take_step(
    optimizer: Optimizer, image: tf.Tensor, costs: Costs, gradient: tf.Tensor, state: Any
) -> tuple[tf.Tensor, Any, tf.Tensor]:
    """Judge an image; return the next one, the new state, and a report for the host.

    The report is one float64 tensor: whether the image was taken, whether the next one differs from
    the image taken last, J (not a number if its gradient is not finite), and the other costs.
    """
    is_finite = tf.reduce_all(tf.math.is_finite(gradient))
    costs = costs._replace(total=tf.where(is_finite, costs.total, math.nan))
    image, state = optimizer.step(image, costs.total, gradient, state)
    moves = tf.reduce_any(tf.not_equal(image, state.image))
    flags = [tf.cast(flag, tf.float64) for flag in (state.accepted, moves)]
    return image, state, tf.stack([*flags, *costs[:-1], *costs.layers])


def make_iteration(
    objective: Objective, optimizer: Optimizer
) -> Callable[[tf.Tensor, Any], tuple[tf.Tensor, Any, tf.Tensor]]:
    """Return a function of an image and a state: its evaluation, and ``take_step``.

    Where the picture is evaluated as a whole it is one graph, from which nothing of the picture's
    size comes to the host.
    """
    graphs = objective.graphs
    if not objective.is_whole:
        judge = graphs.compiled(("step", optimizer), lambda: partial(take_step, optimizer))
        return lambda image, state: judge(image, *objective.evaluate(image), state)
    evaluate, key = objective.evaluate_whole, objective.graph_key

    def iterate(image: tf.Tensor, state: Any, arguments: Any) -> tuple:
        return take_step(optimizer, image, *evaluate(image, arguments), state)

    compiled = graphs.compiled(("iteration", optimizer, key), lambda: iterate)
    return lambda image, state: compiled(image, state, objective.arguments)


def minimise(
    objective: Objective,
    optimizer: Optimizer,
    image: tf.Tensor,
    state: Any = None,
    costs: Costs | None = None,
) -> Iterator[tuple[Costs, OptimizerState]]:
    """Move an image (H, W, 3); at each step yield its costs and the state of the optimizer.

    Both are of the image taken last, which the state holds. A converged one is not evaluated again.

    state: of the optimizer, ``init(image)`` if None; ``image`` is otherwise its trial. costs: what
    was yielded last, to resume from there.
    """
    if state is None:
        state = optimizer.init(image)
    iterate = make_iteration(objective, optimizer)
    moves = costs is None or bool(tf.reduce_any(image != state.image))
    while True:
        if moves:
            image, state, report = iterate(image, state)
            accepted, moves, *numbers = report.numpy().tolist()
            if costs is None or accepted:
                costs = Costs.of_numbers(numbers)
        assert costs is not None  # the first image was evaluated
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
    visible: np.ndarray | None = None,
    start: np.ndarray | None = None,
    evaluation: Evaluation | None = None,
    graphs: TileGraphs | None = None,
    position: Position | None = None,
) -> Iterator[Step]:
    """Repaint ``content`` in the style of ``style``; yield the start image and every iteration.

    content: (H, W, 3), sRGB, 0..255; None for a texture of the size ``settings.image_size``.
    style: one such picture or several, of any sizes; not used where beta is 0.
    settings: weights of the cost, layers, start, epochs; the default settings if None.
    content_masks: (H, W) float32, 0..1, one for each style: where in the picture it is painted.
    style_masks: likewise, of the size of each style: where it is taken from.
    style_sizes: the long side requested for each style, if its file was smaller; coarse scales
        have it in proportion.
    visible: (H, W) float32, 0..1, of the size of the content: how much each pixel counts in the
        costs; None for 1 everywhere.
    start: (H, W, 3) image to start from instead of ``settings.init``, any size.
    evaluation: dtype, and how each scale is cut into tiles, on which the result depends only by
        rounding; without it ``settings.precision``, and every scale as a whole.
    graphs: of the same weights, settings and dtype, made earlier.
    position: of a Step of the same transfer, to resume after it: what follows is the same bit for
        bit, given the same ``evaluation``. The last Step comes once more, not evaluated again.

    The costs of a Step are those of its image; with ``preserve_colors="luminance"`` of the image
    before its colours were restored. Raises
    WeightsError for a layer that the network lacks, UsageError for masks of another size than the
    pictures, and for masks or weights of another number than the styles, and DivergedError, without
    yielding it, for an image whose cost is not finite.
    """
    check_eager()
    settings = settings or Settings()
    began = time.perf_counter() - (position.seconds if position else 0.0)
    if graphs is None:
        dtype = evaluation.dtype if evaluation else precision.choose(settings.precision).dtype.name
        graphs = build_graphs(weights, settings, tf.dtypes.as_dtype(dtype))
    full = prepare_inputs(
        content, style, settings, content_masks, style_masks, style_sizes, visible
    )
    factors = scale_factors(settings, full.size)
    scales = zip(factors, scale_iterations(settings, len(factors)))
    for scale, (factor, iterations) in enumerate(scales, 1):
        if position and position.iteration >= iterations.stop - 1:
            if position.iteration == settings.epochs and scale == len(factors):
                assert position.state is not None  # it was saved
                image = tf.constant(position.state.image)
                picture = LazyImage(image, content, settings.preserve_colors)
                yield Step(position, settings.epochs, len(factors), picture)
            continue  # this scale was finished
        inputs = full.scaled(factor)
        tilings = evaluation.tilings if evaluation else ()
        scaled_content = None if content is None else resize(content, inputs.size)
        # A new state for each scale: one that was carried over, resized, made L-BFGS three times
        # worse after as many iterations, and Adam one and a half times.
        last_round = scale - (len(factors) - last_rounds(settings))  # of the last pass, or < 1
        optimizer = build_optimizer(settings, inputs.size, last_round > 0)
        state: Any = None
        costs, anchor = None, None
        if position is None:
            image = start_image(inputs, weights.mean, settings, start)
        elif position.scale < scale:
            state = on_device(optimizer, position.state)
            image = resize(state.image.numpy(), inputs.size)
            if settings.loss.matches:
                anchor = image
            # In a later round of the last pass the cost differs little from that before.
            state = optimizer.continue_from(image, state) if last_round > 1 else None
        else:
            iterations = range(position.iteration + 1, iterations.stop)
            state, costs, anchor = position.state, position.costs, position.anchor
            state = on_device(optimizer, state)
            image = optimizer.trial(state)
        tiling = tilings[scale - 1] if tilings else WHOLE
        objective = make_objective(graphs, inputs, tiling, settings, anchor, last_round > 0)
        evaluations = minimise(objective, optimizer, tf.constant(image), state, costs)
        del image, state  # free their memory
        for iteration in iterations:
            costs, state = next(evaluations)
            if not math.isfinite(costs.total):
                raise _diverged(settings, graphs.network.dtype, iteration)
            picture = LazyImage(state.image, scaled_content, settings.preserve_colors)
            position = Position(iteration, scale, time.perf_counter() - began, costs, state, anchor)
            yield Step(position, settings.epochs, len(factors), picture)
        del objective, evaluations  # free their memory for the next scale


def _diverged(settings: Settings, dtype: tf.DType, iteration: int) -> DivergedError:
    advice = []
    if optimizer_class(settings.optimizer).uses_learning_rate and iteration > 0:
        advice.append("lower --learning_rate")
    if dtype != tf.float32:
        advice.append("use --precision float32")
    text = ", or ".join(advice) or "use smaller weights of the cost"
    return DivergedError(f"the cost is not finite at iteration {iteration}; {text}")


def __getattr__(name: str) -> Any:
    """``from nst_utils import NeuralStyleTransfer``: late, as ``nst.api`` imports this module."""
    if name == "NeuralStyleTransfer":
        from nst import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
