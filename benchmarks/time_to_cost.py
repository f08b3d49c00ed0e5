"""Seconds until a picture is as good as Adam makes it in plain float32, by the total cost.

The cost is always the same one: J of the saved (clipped) picture in float32, with the default
settings but for zeros beyond the borders, at the size of the result. The baseline is a plain
TensorFlow program with Adam, on the same pictures and weights, in the same process. Seconds count
from the pictures and weights in memory to the first picture whose J is as low, tracing of graphs
and measuring of targets included, and the measuring of J left out.

    python benchmarks/time_to_cost.py [--iterations 200 1000] [--pairs C S [C S ...]] [--json FILE]
"""

import argparse
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from common import enlarged, machine, pairs, report
from evaluation import plain

import nst_utils
from nst.api import build_objective
from nst.engine.determinism import make_deterministic
from nst.engine.inputs import TransferInputs
from nst.engine.objective import Objective
from nst.engine.optimizers import Adam
from nst.settings import Settings
from nst.vgg import weights

COST: dict[str, Any] = {"padding": "zeros"}
VARIANTS: dict[str, dict[str, Any]] = {
    "adam": {},
    "lbfgs": {"optimizer": "lbfgs"},
    "lbfgs in 2 scales": {"optimizer": "lbfgs", "scales": 2},
}


def baseline(network: weights.Weights, inputs: TransferInputs) -> Iterator[np.ndarray]:
    """Adam on the plain float32 objective: the start image, and the one after each iteration."""
    settings = Settings(**COST)
    assert inputs.content is not None
    evaluate = plain(network, inputs.content, inputs.styles[0])
    optimizer = Adam(settings.learning_rate)
    image = tf.constant(nst_utils.start_image(inputs, network.mean, settings))
    state = optimizer.init(image)
    while True:
        yield image.numpy()
        cost, gradient = evaluate(image)
        image, state = optimizer.step(image, cost, gradient, state)


def variant(name: str, network: weights.Weights, inputs: TransferInputs) -> Iterator[np.ndarray]:
    """The pictures of the finest scale of a variant."""
    settings = Settings(**COST, **VARIANTS[name])
    for step in nst_utils.transfer_style(inputs.content, inputs.styles, network, settings):
        if step.scale == step.scales:
            yield step.picture


def timed(images: Iterator[np.ndarray]) -> Iterator[tuple[float, np.ndarray]]:
    """(seconds spent in the generator so far, image), whatever the consumer takes."""
    seconds = 0.0
    while True:
        began = time.perf_counter()
        image = next(images, None)
        seconds += time.perf_counter() - began
        if image is None:
            return
        yield seconds, image


def measure(
    cost: Callable[[np.ndarray], float],
    network: weights.Weights,
    inputs: TransferInputs,
    iterations: list[int],
    variants: list[str],
) -> dict:
    """Baseline and variants on one pair."""
    goals = {}
    for number, (seconds, image) in enumerate(timed(baseline(network, inputs))):
        if number in iterations:
            goals[number] = {"J": cost(image), "seconds": seconds}
        if number == max(iterations):
            break
    results = {}
    for name in variants:
        reached, lowest = dict.fromkeys(goals), math.inf
        for seconds, image in timed(variant(name, network, inputs)):
            lowest = min(lowest, cost(image))
            for number, goal in goals.items():
                if reached[number] is None and lowest <= goal["J"]:
                    reached[number] = seconds
        results[name] = {"reached": reached, "J": lowest, "seconds": seconds}
    return {"baseline": goals, "variants": results}


def show(results: dict) -> None:
    """Print the measurements of one pair."""
    for number, goal in results["baseline"].items():
        reached = f"J {goal['J']:.3e} after {goal['seconds']:.1f} s"
        print(f"  plain float32 Adam, {number:5} iterations: {reached}")
    for name, result in results["variants"].items():
        print(f"  {name:17} ends with J {result['J']:.3e} after {result['seconds']:.1f} s")
        for number, seconds in result["reached"].items():
            text = "never"
            if seconds is not None:
                ratio = results["baseline"][number]["seconds"] / seconds
                text = f"after {seconds:.1f} s, {ratio:.1f} times as fast"
            print(f"{'':12}reaches the J of {number} iterations {text}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image_size", type=int, default=400, help="long side in pixels")
    parser.add_argument("--iterations", type=int, nargs="+", default=[200], help="of the baseline")
    names = list(VARIANTS)
    parser.add_argument("--variants", nargs="+", default=names, choices=names)
    parser.add_argument("--pairs", nargs="+", default=[], help="content and style files, in turn")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    options = parser.parse_args()
    make_deterministic()
    network = weights.load(weights.find(None, "vgg19", print))
    facts = {**machine(), "network": network.network, "image_size": options.image_size, "pairs": {}}
    for key in ("machine", "versions", "network", "image_size"):
        print(f"{key:11} {facts[key]}")
    for pair in pairs(options.pairs):
        content, style = (enlarged(name, options.image_size) for name in pair)
        inputs = TransferInputs(content.shape[:2], content, (style,))
        objective = build_objective(content, style, network, Settings(**COST))

        def clipped_cost(image: np.ndarray, evaluate: Objective = objective) -> float:
            return evaluate(np.clip(image, 0, 255))[0].total

        results = measure(
            clipped_cost,
            network,
            inputs,
            options.iterations,
            options.variants,
        )
        facts["pairs"][" + ".join(pair)] = results
        print(f"\n{' + '.join(pair)}")
        show(results)
    report(facts, options.json)


if __name__ == "__main__":
    main()
