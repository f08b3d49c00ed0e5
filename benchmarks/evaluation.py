"""Seconds for one evaluation: the cost and its gradient with respect to the picture.

Compares our objective with a plain one in float32, written as TensorFlow's documentation would
(the baseline), on the same machine, pictures and weights, in one process. Prints the rate of a
large matrix product, too: the most that the machine can do.

    python benchmarks/evaluation.py [--image_size 400] [--repeats 20] [--json FILE]
"""

import argparse
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from common import enlarged, machine, report, seconds

import nst_utils
from nst.api import build_objective
from nst.engine.determinism import make_deterministic
from nst.engine.inputs import TransferInputs
from nst.engine.tiling import WHOLE, Tiling
from nst.settings import Settings
from nst.style_losses import STYLE_LOSSES
from nst.vgg import weights
from nst.vgg.layers import layers_up_to

PRODUCT = 4096  # rows of the square matrices


def plain(network: weights.Weights, content: np.ndarray, style: np.ndarray) -> Callable:
    """The baseline: the same cost, but for zeros beyond the borders, in plain float32."""
    settings = Settings()
    style_layers = dict(settings.style_layers)

    def activations(image: tf.Tensor) -> dict[str, tf.Tensor]:
        x, outputs = (image - network.mean)[tf.newaxis], {}
        for layer in layers_up_to(network.network, style_layers):
            if layer in network.layers:
                kernel, bias = network.layers[layer]
                x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias))
            else:
                x = tf.nn.avg_pool2d(x, 2, 2, "SAME")
            outputs[layer] = x
        return outputs

    def gram(x: tf.Tensor) -> tf.Tensor:
        features = tf.reshape(x, (-1, x.shape[-1]))
        return tf.matmul(features, features, transpose_a=True) / features.shape[0]

    target = activations(tf.constant(content))["conv4_2"]
    grams = {layer: gram(x) for layer, x in activations(tf.constant(style)).items()}

    @tf.function
    def evaluate(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(image)
            outputs = activations(image)
            total = 10 * tf.reduce_mean((outputs["conv4_2"] - target) ** 2) / 4
            for layer, weight in style_layers.items():
                difference = gram(outputs[layer]) - grams[layer]
                total += 40 * weight * tf.reduce_mean(difference**2) / 4
        return total, tape.gradient(total, image)

    return evaluate


def operations(settings: Settings, shape: tuple[int, ...], network: weights.Weights) -> float:
    """Multiplications and additions of the convolutions, forward and backward."""
    height, width = shape[:2]
    total = 0
    for layer in layers_up_to(network.network, dict(settings.style_layers)):
        if layer in network.layers:
            total += 2 * 2 * height * width * network.layers[layer][0].size
        else:
            height, width = -(-height // 2), -(-width // 2)
    return total


def product_rate(dtype: tf.DType) -> float:
    """Operations a second of a large matrix product."""
    matrix = tf.cast(tf.random.stateless_normal((PRODUCT, PRODUCT), (0, 0)), dtype)
    multiply = tf.function(lambda: tf.reduce_max(tf.matmul(matrix, matrix)))
    return 2 * PRODUCT**3 / seconds(lambda: multiply().numpy(), 3)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image_size", type=int, default=400, help="long side in pixels")
    parser.add_argument("--tile_size", type=int, default=512, help="pixels, of the early layers")
    parser.add_argument("--repeats", type=int, default=20, help="evaluations timed")
    parser.add_argument("--deterministic", action="store_true", help="as the command line runs")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    options = parser.parse_args()
    if options.deterministic:
        make_deterministic()

    settings = Settings(padding="zeros")
    network = weights.load(weights.find(None, "vgg19", print))
    content, style = (
        enlarged(name, options.image_size) for name in ("temple.jpg", "starlit_harbour.jpg")
    )
    inputs = TransferInputs(content.shape[:2], content, (style,))
    image = nst_utils.start_image(inputs, network.mean, settings)
    baseline = plain(network, content, style)
    candidates: dict[str, Callable] = {
        "plain float32": lambda x: [part.numpy() for part in baseline(tf.constant(x))]
    }
    tiled = Tiling((("pool2", options.tile_size), (None, None)))
    for dtype in (tf.float32, tf.bfloat16):
        for name, tiling in (("", WHOLE), (f" tiles {options.tile_size}", tiled)):
            candidates[f"ours {dtype.name}{name}"] = build_objective(
                content, style, network, settings, dtype=dtype, tiling=tiling
            )
    for loss in STYLE_LOSSES:
        candidates[f"ours bfloat16 reflect {loss}"] = build_objective(
            content, style, network, Settings(style_loss=loss), dtype=tf.bfloat16
        )
    work = operations(settings, content.shape, network)
    times = {name: seconds(lambda f=f: f(image), options.repeats) for name, f in candidates.items()}
    facts = {
        **machine(),
        "network": network.network,
        "size": [content.shape[1], content.shape[0]],
        "repeats": options.repeats,
        "deterministic": options.deterministic,
        "matrix_product_tflops": {
            dtype.name: product_rate(dtype) / 1e12 for dtype in (tf.float32, tf.bfloat16)
        },
        "seconds_per_evaluation": times,
    }
    for key in ("machine", "versions", "network", "size", "repeats", "deterministic"):
        print(f"{key:14} {facts[key]}")
    for name, rate in facts["matrix_product_tflops"].items():
        print(f"{'matrix product':14} {name} {rate:.2f} TFLOP/s")
    print(f"\n{'evaluation':34}{'seconds':>9}{'TFLOP/s':>9}{'times as fast':>15}")
    for name, value in times.items():
        ratio = times["plain float32"] / value
        print(f"{name:34}{value:9.3f}{work / value / 1e12:9.2f}{ratio:15.2f}")
    report(facts, options.json)


if __name__ == "__main__":
    main()
