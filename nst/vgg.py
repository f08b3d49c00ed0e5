"""The VGG-16 and VGG-19 networks as TensorFlow graphs (Simonyan and Zisserman 2015).

Only the convolution part, up to the deepest layer asked for. Every convolution is 3 x 3 with
zero padding and a ReLU; every pool halves height and width, rounding up. The activation called
``conv4_2`` is the one after its ReLU.
"""

from collections.abc import Sequence

import tensorflow as tf

from nst.networks import layers_up_to
from nst.weights import Weights


class VGG:
    """A VGG network with fixed weights, cut after the deepest of ``outputs``."""

    def __init__(
        self,
        weights: Weights,
        outputs: tuple[str, ...],
        pooling: str = "avg",
        dtype: tf.DType = tf.float32,
    ) -> None:
        """Prepare the network.

        outputs: names of the layers whose activations are wanted.
        pooling: ``avg`` (Gatys et al. 2015, section Methods) or ``max``.
        dtype: number type of the convolutions. conv1_1 is float32 always: it is a hundredth of the
            work, and pixels rounded to eight bits of mantissa would be the largest error of all.
        Raises WeightsError for a layer that the network lacks.
        """
        self.outputs = outputs
        self.dtype = dtype
        self.layers = layers_up_to(weights.network, outputs)
        self._pool = tf.nn.avg_pool2d if pooling == "avg" else tf.nn.max_pool2d
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
        """Return the activations of an image.

        image: (H, W, 3), sRGB, 0..255. Returns {layer: (1, H_l, W_l, C_l) of ``dtype``} for
        ``outputs``.
        """
        activations = self.run(image, self.layers)
        return {layer: activations[layer] for layer in self.outputs}

    def run(self, x: tf.Tensor, layers: Sequence[str]) -> dict[str, tf.Tensor]:
        """Return the activations of consecutive layers.

        x: what comes before the first of ``layers``, (H, W, C): an image as above, or an
        activation of ``dtype``. Returns {layer: (1, H_l, W_l, C_l) of ``dtype``} for all of them.
        """
        x = x[tf.newaxis]
        activations = {}
        for layer in layers:
            if layer in self._weights:
                if layer == "conv1_1":
                    x = tf.cast(x, tf.float32) - self._mean
                kernel, bias = self._weights[layer]
                x = tf.nn.conv2d(x, kernel, strides=1, padding="SAME")
                x = tf.nn.relu(tf.cast(tf.nn.bias_add(x, bias), self.dtype))
            else:
                x = self._pool(x, ksize=2, strides=2, padding="SAME")
            activations[layer] = x
        return activations
