"""Choose the dtype of the convolutions by trying it on this machine."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

# bfloat16 must be clearly faster, or noise in the measurement would change the choice, and with
# it the picture, from run to run. Processors with bfloat16 arithmetic are 1.8 to 4 times faster
# with it, those without are slower.
CLEARLY_FASTER = 1.3
ROUNDS = 9  # measurements of each


@dataclass(frozen=True)
class Precision:
    """The dtype of the convolutions.

    reason: why it was chosen, in words. rate: multiplications and additions a second of a typical
    convolution and its gradient on this machine.
    """

    dtype: tf.DType
    reason: str
    rate: float


def rates(*dtypes: tf.DType) -> list[float]:
    """Operations a second of a typical convolution and its gradient with respect to its input.

    The types take turns, and the best time of each counts: whatever else the machine does slows
    them alike.
    """
    calls = [_work(dtype) for dtype in dtypes]
    best = [math.inf] * len(calls)
    for turn in range(ROUNDS):
        for index, call in enumerate(calls):
            start = time.perf_counter()
            call().numpy()
            if turn:  # the first one traces and warms up
                best[index] = min(best[index], time.perf_counter() - start)
    return [2 * 2 * 40 * 40 * 9 * 256 * 256 / seconds for seconds in best]


def _work(dtype: tf.DType) -> Callable:
    activation = tf.ones((1, 40, 40, 256), dtype)
    kernel = tf.ones((3, 3, 256, 256), dtype)

    @tf.function(autograph=False)
    def work(x: tf.Tensor) -> tf.Tensor:
        y = tf.nn.conv2d(x, kernel, strides=1, padding="SAME")
        y = tf.nn.conv2d_transpose(y, kernel, x.shape, strides=1, padding="SAME")
        return tf.reduce_max(y)

    return lambda: work(activation)


def choose(name: str, measure: Callable[..., list[float]] = rates) -> Precision:
    """Return the precision called ``name``; ``auto`` takes the faster of float32 and bfloat16.

    measure: ``rates``, or what remembers them.
    """
    if name != "auto":
        dtype = tf.dtypes.as_dtype(name)
        (rate,) = measure(dtype)
        return Precision(dtype, "as asked for", rate)
    plain, short = measure(tf.float32, tf.bfloat16)
    if short / plain >= CLEARLY_FASTER:
        reason = f"auto: {short / plain:.1f} times as fast as float32 here"
        return Precision(tf.bfloat16, reason, short)
    return Precision(tf.float32, f"auto: bfloat16 is {short / plain:.1f} times as fast here", plain)
