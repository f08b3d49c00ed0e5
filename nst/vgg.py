"""The VGG-16 and VGG-19 networks as TensorFlow graphs (Simonyan and Zisserman 2015).

Only the convolution part, up to the deepest layer asked for. Every convolution is 3 x 3 with
zero padding and a ReLU; every pool halves height and width, rounding up. The activation called
``conv4_2`` is the one after its ReLU.
"""

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

        image: (H, W, 3) float32, sRGB, 0..255. Returns {layer: (1, H_l, W_l, C_l) of ``dtype``}.
        """
        x = (image - self._mean)[tf.newaxis]  # (1, H, W, 3)
        activations = {}
        for layer in self.layers:
            if layer in self._weights:
                kernel, bias = self._weights[layer]
                x = tf.nn.conv2d(x, kernel, strides=1, padding="SAME")
                x = tf.cast(tf.nn.relu(tf.nn.bias_add(x, bias)), self.dtype)
            else:
                x = self._pool(x, ksize=2, strides=2, padding="SAME")
            if layer in self.outputs:
                activations[layer] = x
        return activations
