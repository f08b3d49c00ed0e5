"""What an iteration takes beside its convolutions: the rest of the evaluation, and the optimizer.

The baseline is the convolutions alone, forward and backward, timed one layer after the other in
the same process at the same size. Then the evaluation of J with its gradient, and iterations of
Adam and L-BFGS, which has as many pairs as it keeps.

    python benchmarks/iteration.py [--image_size 400] [--tile_size 512] [--repeats 15] [--json FILE]
"""

import argparse
from dataclasses import replace

import numpy as np
import tensorflow as tf
from common import enlarged, machine, report, seconds

import nst_utils
from nst.engine.determinism import make_deterministic
from nst.engine.inputs import TransferInputs
from nst.engine.objective import Objective
from nst.engine.optimizers import Optimizer
from nst.engine.tiling import WHOLE, Tiling
from nst.options import OPTIMIZERS
from nst.settings import Settings
from nst.style_losses import STYLE_LOSSES
from nst.vgg import weights
from nst.vgg.layers import layers_up_to


def convolution_seconds(
    network: weights.Weights,
    settings: Settings,
    size: tuple[int, int],
    dtype: tf.DType,
    repeats: int,
) -> float:
    """Seconds of the convolutions of one evaluation, each alone.

    size: (height, width) of the picture, its border included.
    """
    height, width = size
    total = 0.0
    for layer in layers_up_to(network.network, settings.used_layers):
        if layer not in network.layers:
            height, width = -(-height // 2), -(-width // 2)
            continue
        kernel, bias = network.layers[layer]
        first = layer == "conv1_1"
        weight = tf.constant(kernel, tf.float32 if first else dtype)
        short = tf.constant(kernel, tf.float32 if dtype == tf.float16 else dtype)
        shift = tf.constant(bias, weight.dtype)
        x = tf.random.stateless_normal((1, height, width, kernel.shape[2]), (0, 1))
        x = tf.cast(x, weight.dtype)
        upstream = tf.random.stateless_normal((1, height, width, kernel.shape[3]), (0, 2))
        upstream = tf.cast(upstream, short.dtype)

        @tf.function(autograph=False)
        def forward(
            x: tf.Tensor = x, weight: tf.Tensor = weight, shift: tf.Tensor = shift
        ) -> tf.Tensor:
            return tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, weight, 1, "SAME"), shift))

        @tf.function(autograph=False)
        def backward(
            upstream: tf.Tensor = upstream, weight: tf.Tensor = short, shape: tuple = x.shape
        ) -> tf.Tensor:
            return tf.nn.conv2d_transpose(upstream, weight, shape, 1, "SAME")

        total += seconds(forward, repeats) + seconds(backward, repeats)
    return total


def iteration_seconds(
    objective: Objective, optimizer: Optimizer, image: np.ndarray, repeats: int
) -> float:
    """Median seconds of an iteration, once L-BFGS has all its pairs."""
    start = tf.constant(image)
    iterate = nst_utils.make_iteration(objective, optimizer)
    state, following = optimizer.init(start), start
    for _ in range(getattr(optimizer, "memory", 0)):
        following, state, _ = iterate(following, state)

    def step() -> None:
        nonlocal following, state
        following, state, numbers = iterate(following, state)
        numbers.numpy()

    return seconds(step, repeats)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image_size", type=int, default=400, help="long side in pixels")
    parser.add_argument("--tile_size", type=int, help="by tiles of so many pixels to pool2")
    parser.add_argument("--style_loss", choices=STYLE_LOSSES, default="gram")
    parser.add_argument("--padding", choices=("zeros", "reflect"), default="zeros")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--repeats", type=int, default=15, help="calls timed")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    options = parser.parse_args()
    make_deterministic()

    dtype = tf.dtypes.as_dtype(options.precision)
    settings = Settings(style_loss=options.style_loss, padding=options.padding)
    network = weights.load(weights.find(None, "vgg19", print))
    content, style = (
        enlarged(name, options.image_size) for name in ("temple.jpg", "starlit_harbour.jpg")
    )
    inputs = TransferInputs(content.shape[:2], content, (style,))
    image = nst_utils.start_image(inputs, network.mean, settings)
    graphs = nst_utils.build_graphs(network, settings, dtype)
    tiling = WHOLE
    if options.tile_size:
        tiling = Tiling((("pool2", options.tile_size), (None, None)))
    objective = nst_utils.make_objective(graphs, inputs, tiling, settings)
    size = content.shape[0] + 2 * graphs.border, content.shape[1] + 2 * graphs.border
    on_device = tf.constant(image)
    times = {
        "convolutions alone": convolution_seconds(network, settings, size, dtype, options.repeats),
        "evaluation": seconds(lambda: objective.evaluate(on_device)[1][0].numpy(), options.repeats),
    }
    for word in OPTIMIZERS:
        chosen = replace(settings, optimizer=word)
        optimizer = nst_utils.build_optimizer(chosen, content.shape[:2])
        name = f"iteration of {type(optimizer).__name__}"
        times[name] = iteration_seconds(objective, optimizer, image, options.repeats)
    facts = {
        **machine(),
        "network": network.network,
        "size": [content.shape[1], content.shape[0]],
        "tile_size": options.tile_size,
        "style_loss": options.style_loss,
        "padding": options.padding,
        "precision": options.precision,
        "repeats": options.repeats,
        "seconds": times,
    }
    for key, value in list(facts.items())[:-1]:
        print(f"{key:14} {value}")
    print(f"\n{'':24}{'seconds':>9}{'of the convolutions':>21}{'of the evaluation':>19}")
    for name, value in times.items():
        of_convolutions = value / times["convolutions alone"]
        of_evaluation = value / times["evaluation"]
        print(f"{name:24}{value:9.4f}{of_convolutions:21.3f}{of_evaluation:19.3f}")
    report(facts, options.json)


if __name__ == "__main__":
    main()
