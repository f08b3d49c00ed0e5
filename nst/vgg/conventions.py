"""What pixels a network was trained on, told by its first layer, and the network for pixels 0..255.

Three conventions are met, in either order of the colours:

- Caffe: 0..255 minus the mean, as the published VGG-16 and VGG-19 were trained;
- torchvision: 0..1, minus its mean, divided by its standard deviation; red first;
- 0..1 minus the mean.

A published network of Caffe is known by the biases of conv1_1, which are nearly those of VGG-19 in
both networks whatever the order of the colours; then their size, relative to the kernels, tells
the scale of the pixels, and the colours of the kernels tell the order. All others that PyTorch
names are taken for torchvision's: size alone would not tell them, as kernels and biases are as
large in its networks (trained on pixels of -2..2) as in those of Caffe (on -124..152).

Only the scale is folded into the kernels. The mean stays the network's mean, so that zeros at the
borders are what they were. The activations of networks for the smaller pixels of torchvision, some
57 times smaller than those of Caffe's, are brought to the size for which --alpha and --beta were
chosen.
"""

import math
from dataclasses import dataclass

import numpy as np

from nst.vgg.arrays import Layers

# Of conv1_1 of VGG-19, output channels 0..15, each divided by the norm of its kernel, so that a
# network whose channels are scaled (to a mean activation of 1, for one) is known, too. Those of
# VGG-16 correlate with them by 0.97 and more.
# fmt: off
BIASES = np.array([
    0.484, 0.137, 0.066, 0.559, 0.273, 0.637, -0.020, 0.377,
    0.710, 0.097, 0.357, 0.352, 0.522, 0.286, 0.357, 0.450,
])
RED_LESS_BLUE = np.array([  # sums of the kernels
    -0.014, -3.847, -1.126, 0.104, 0.524, -2.805, -0.484, 1.095,
    0.201, -2.536, 0.001, -0.276, -0.211, -2.394, 0.098, 0.123,
])
TOP_LESS_BOTTOM = np.array([
    2.964, -0.082, -0.016, 3.164, 2.431, 0.063, -2.303, 2.826,
    -0.028, -2.803, 3.182, 2.624, 0.059, -2.063, -3.159, 0.156,
])
# fmt: on
SIZE = 0.2  # root mean square of the kernels
MOST_DOUBLINGS = 30  # beyond that a kernel is damaged, and biases might overflow
# Mean pixel of the ImageNet training set, red, green, blue, of Caffe's and Keras' weights.
IMAGENET_MEAN = np.array([123.68, 116.779, 103.939], np.float32)
TORCH_MEAN = np.array([0.485, 0.456, 0.406])  # of pixels 0..1, red, green, blue
TORCH_DEVIATION = np.array([0.229, 0.224, 0.225])
# First digits of the SHA-256 of torchvision's files, which are in their names, too:
# vgg19, vgg16, vgg19_bn, vgg16_bn.
TORCHVISION = ("dcbb9e9d", "397923af", "c79401a0", "6c64b313")


@dataclass(frozen=True)
class FirstLayer:
    """kernel: (3, 3, 3, 64) float32 of conv1_1, whose input is red, green, blue, pixels 0..255
    minus ``mean``. mean: (3,) float32. notes: for the user, what was guessed."""

    kernel: np.ndarray
    mean: np.ndarray
    notes: tuple[str, ...] = ()


def for_pixels(
    kernel: np.ndarray, bias: np.ndarray, blue_first: bool | None, sha256: str
) -> FirstLayer:
    """The first layer for pixels 0..255, red first.

    kernel: (3, 3, 3, 64). blue_first: whether a network that is not known takes Caffe's pixels with
    blue first, as those of Keras do; None for one of PyTorch. sha256: of the file. Raises
    ValueError for a known network whose kernels are turned.
    """
    norms = np.maximum(np.sqrt(np.square(kernel, dtype=np.float64).sum((0, 1, 2))), 1e-30)
    if _likeness(bias / norms, BIASES) > 0.9:
        return _of_caffe(kernel, bias / norms, kernel / norms)
    if blue_first is not None:
        return FirstLayer(_red_first(kernel, blue_first), IMAGENET_MEAN)
    mean = (255 * TORCH_MEAN).astype(np.float32)
    kernel = (kernel / (255 * TORCH_DEVIATION[:, np.newaxis])).astype(np.float32)
    if sha256.startswith(TORCHVISION):
        return FirstLayer(kernel, mean)
    note = (
        "the weights are not Caffe's: their input was taken for torchvision's (red first, 0..1, "
        "its mean and deviation)"
    )
    return FirstLayer(kernel, mean, (note,))


def before_first(kernel: np.ndarray, first: np.ndarray) -> FirstLayer:
    """The first layer of a network that begins with a 1 x 1 convolution of pixels 0..1, red first.

    kernel: (3, 3, 3, 64). first: (3, 4), its kernel (out, in) and bias. Raises ValueError if it
    does not shift the pixels by a mean.
    """
    try:
        mean = -255 * np.linalg.solve(first[:, :3], first[:, 3])
    except np.linalg.LinAlgError:
        raise ValueError("its first convolution of 1 x 1 mixes the colours up") from None
    kernel = np.einsum("hwoc,oi->hwic", kernel, first[:, :3] / 255).astype(np.float32)
    return FirstLayer(kernel, mean.astype(np.float32))


def as_large_as_caffe(layers: Layers) -> tuple[Layers, tuple[str, ...]]:
    """The layers with activations about as large as those of Caffe's networks, and a note if moved.

    The kernel of conv1_1 and all biases are multiplied by one power of two, and with them, as ReLU,
    pooling and padding let positive factors pass, every activation: exactly, as a power of two
    rounds nothing. Layers whose conv1_1 is within a factor of 4 of Caffe's stay as they are.
    """
    kernel, _ = layers["conv1_1"]
    size = float(np.sqrt(np.mean(np.square(kernel, dtype=np.float64))))
    exponent = round(math.log2(SIZE / size)) if size > 0 else 0
    if not 2 <= abs(exponent) <= MOST_DOUBLINGS:
        return layers, ()
    factor = np.float32(2.0**exponent)
    scaled = {name: (kernel, bias * factor) for name, (kernel, bias) in layers.items()}
    scaled["conv1_1"] = kernel * factor, scaled["conv1_1"][1]
    how = f"multiplied by {2**exponent:,}" if exponent > 0 else f"divided by {2**-exponent:,}"
    return scaled, (
        f"its activations are {how}, to be as large as those of Caffe's networks, for which "
        "--alpha and --beta were chosen",
    )


def _of_caffe(kernel: np.ndarray, biases: np.ndarray, directions: np.ndarray) -> FirstLayer:
    """The first layer of a published network of Caffe, in whatever form.

    biases, directions: biases and kernels, divided by the norms of the kernels.
    """
    if _likeness((directions[0] - directions[2]).sum((0, 1)), TOP_LESS_BOTTOM) < 0.7:
        raise ValueError(
            "its kernels are turned or transposed, as those for Theano are; take the file of "
            "TensorFlow's order (tf_dim_ordering_tf_kernels)"
        )
    colours = _likeness((directions[:, :, 0] - directions[:, :, 2]).sum((0, 1)), RED_LESS_BLUE)
    if abs(colours) < 0.7:
        raise ValueError("the colours of its first layer are in no known order")
    kernel = _red_first(kernel, colours < 0)
    size = (BIASES @ BIASES) / (BIASES @ biases[: len(BIASES)])
    if size < 10:  # 0..255: 1
        return FirstLayer(kernel, IMAGENET_MEAN)
    # 0..1 divided by the deviation: 58; 0..1: 255
    of_torchvision = size < 120
    scale = 255 * (TORCH_DEVIATION if of_torchvision else np.ones(3))
    mean = (255 * TORCH_MEAN).astype(np.float32) if of_torchvision else IMAGENET_MEAN
    kernel = (kernel / scale[:, np.newaxis]).astype(np.float32)
    return FirstLayer(kernel, mean)


def _red_first(kernel: np.ndarray, blue_first: bool) -> np.ndarray:
    return np.ascontiguousarray(kernel[:, :, ::-1]) if blue_first else kernel


def _likeness(values: np.ndarray, known: np.ndarray) -> float:
    """The correlation of the first 16 values with those known, 0 if they are all the same."""
    values = np.asarray(values[: len(known)], np.float64)
    if values.shape != known.shape or not np.isfinite(values).all() or np.ptp(values) == 0:
        return 0.0
    return float(np.corrcoef(values, known)[0, 1])
