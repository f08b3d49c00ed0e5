"""Choose the number type of the convolutions by trying it on this machine."""

import statistics
import time
from dataclasses import dataclass

import tensorflow as tf

# bfloat16 must be clearly faster, or noise in the measurement would change the choice, and with
# it the picture, from run to run. Processors with bfloat16 arithmetic are 1.8 to 4 times faster
# with it, those without are slower.
CLEARLY_FASTER = 1.3


@dataclass(frozen=True)
class Precision:
    """The number type of the convolutions, and why it was chosen, in words."""

    dtype: tf.DType
    reason: str


def choose(name: str) -> Precision:
    """Return the precision called ``name``; ``auto`` measures for about 0.1 s."""
    if name != "auto":
        return Precision(tf.dtypes.as_dtype(name), "as asked for")
    ratio = _seconds(tf.float32) / _seconds(tf.bfloat16)
    if ratio >= CLEARLY_FASTER:
        return Precision(tf.bfloat16, f"auto: {ratio:.1f} times as fast as float32 here")
    return Precision(tf.float32, f"auto: bfloat16 is {ratio:.1f} times as fast here")


def _seconds(dtype: tf.DType) -> float:
    """Median seconds of a typical convolution and its gradient with respect to its input."""
    activation = tf.ones((1, 40, 40, 256), dtype)
    kernel = tf.ones((3, 3, 256, 256), dtype)

    @tf.function
    def work(x: tf.Tensor) -> tf.Tensor:
        y = tf.nn.conv2d(x, kernel, strides=1, padding="SAME")
        return tf.nn.conv2d_transpose(y, kernel, x.shape, strides=1, padding="SAME")

    work(activation)  # traced and warmed up
    times = []
    for _ in range(5):
        start = time.perf_counter()
        work(activation)
        times.append(time.perf_counter() - start)
    return statistics.median(times)
