"""Find the convolutions of VGG among named arrays, whatever their naming and their axes.

Two ways of naming: by the place in a sequence of layers (torchvision: ``features.0.weight``, with
anything before it), or by block and index (``conv1_1.weight``, ``block1_conv1/kernel:0``).
"""

import re
from collections.abc import Iterable

import numpy as np

from nst.text import count_text
from nst.vgg.arrays import Arrays, Layers, NamedArray
from nst.vgg.layers import CONVOLUTIONS, convolutions

PLACE = re.compile(r"(?P<before>(?:^|.*[./]))(?P<place>\d+)\.(?P<part>\w+)$")
NAME = re.compile(r"(?:conv|block)(\d)_(?:conv)?(\d)(?!\d)")
NOT_FEATURES = ("classifier", "head", "fc", "optimizer", "exp_avg", "momentum")
EPSILON = 1e-5  # of batch normalisation in PyTorch, which does not save it
OTHERS = {  # part of a name -> network
    r"layer1\.0\.(conv1|bn1)|conv2_block1_1|res2a_branch": "a ResNet",
    r"denseblock1|conv2_block1_0": "a DenseNet",
    r"fire2|features\.3\.squeeze": "a SqueezeNet",
    r"Mixed_5b|mixed0|inception_3a|inception3a": "an Inception network",
    r"features\.0\.0\.weight|expanded_conv": "a MobileNet or EfficientNet",
    r"blocks\.0\.(attn|norm1)|encoder_layer_0|vision_model": "a vision transformer",
    r"model\.diffusion_model|unet\.|lora_": "a diffusion model",
}
FEWER = {5: ", as AlexNet does", 8: ", as VGG-11 does", 10: ", as VGG-13 does"}


def find_layers(arrays: Arrays) -> tuple[Layers, np.ndarray | None]:
    """Return the layers of a VGG, their kernels (3, 3, in, out), and a first 1 x 1 convolution.

    The input of conv1_1 is in the order of the file. The 1 x 1 convolution, (3, 4) = (out, in) and
    the bias, stands before conv1_1 in some files, and is None else. Raises ValueError if the arrays
    are no VGG-16 or VGG-19.
    """
    named = _by_name(arrays)
    if named:
        return {name: _pair(name, parts) for name, parts in sorted(named.items())}, None
    return _by_place(arrays)


def _by_name(arrays: Arrays) -> dict[str, dict[str, NamedArray]]:
    """{layer: {kernel, bias}} of arrays that are named by block and index."""
    found: dict[str, dict[str, NamedArray]] = {}
    known = convolutions("VGG-19")
    for name, array in arrays.items():
        match = NAME.search(name)
        layer = f"conv{match[1]}_{match[2]}" if match else ""
        if layer not in known or any(word in name for word in ("optimizer", "exp_avg", "momentum")):
            continue
        if any(word in name for word in ("running_", "moving_", "gamma")):
            raise ValueError(
                f"its layers have batch normalisation ({name}), which is known under the names of "
                "torchvision's vgg16_bn and vgg19_bn alone"
            )
        if len(array.shape) not in (1, 4):
            continue  # in .mat files of one matrix, for one
        part = "kernel" if len(array.shape) == 4 else "bias"
        if found.setdefault(layer, {}).setdefault(part, array) is not array:
            raise ValueError(f"it holds {layer} twice ({name})")
    if found and len(found) in FEWER:
        raise ValueError(wrong_count(len(found)))
    return found


def _by_place(arrays: Arrays) -> tuple[Layers, np.ndarray | None]:
    """The layers of arrays that are named by their place in a sequence."""
    places: dict[int, dict[str, NamedArray]] = {}
    for name, array in arrays.items():
        match = PLACE.match(name)
        if match and not any(word in match["before"] for word in NOT_FEATURES):
            parts = places.setdefault(int(match["place"]), {})
            if parts.setdefault(match["part"], array) is not array:
                raise ValueError(f"it holds two sequences of layers ({name})")
    kernels = [place for place, parts in places.items() if _lengths(parts, "weight") == 4]
    kernels.sort()
    first = None
    if kernels and places[kernels[0]]["weight"].shape == (3, 3, 1, 1):
        parts = places[kernels.pop(0)]
        if "bias" not in parts or parts["bias"].shape != (3,):
            raise ValueError("its first convolution of 1 x 1 lacks its bias")
        first = np.column_stack([parts["weight"].read().reshape(3, 3), parts["bias"].read()])
    network = {sum(counts): network for network, counts in CONVOLUTIONS.items()}.get(len(kernels))
    if network is None or _other(arrays):
        raise ValueError(_other(arrays) or _what_instead(arrays, len(kernels)))
    layers = {}
    for layer, place in zip(convolutions(network), kernels):
        norm = places.get(place + 1, {})
        layers[layer] = _pair(layer, _renamed(places[place]), norm if "running_var" in norm else {})
    return layers, first


def _lengths(parts: dict[str, NamedArray], part: str) -> int:
    return len(parts[part].shape) if part in parts else 0


def _renamed(parts: dict[str, NamedArray]) -> dict[str, NamedArray]:
    return {{"weight": "kernel"}.get(part, part): array for part, array in parts.items()}


def _pair(
    layer: str, parts: dict[str, NamedArray], norm: dict[str, NamedArray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Kernel (3, 3, in, out) and bias (out,) float32 of a layer.

    norm: {weight, bias, running_mean, running_var} of the batch normalisation that follows, whose
    factor and offset are those of the kernel then.
    """
    if "kernel" not in parts or ("bias" not in parts and not norm):
        raise ValueError(f"{layer} lacks its {'bias' if 'kernel' in parts else 'kernel'}")
    channels_in, channels_out = convolutions("VGG-19")[layer]
    shape = parts["kernel"].shape
    of_torch = (channels_out, channels_in, 3, 3)
    if shape not in (of_torch, (3, 3, channels_in, channels_out)):  # before it takes memory
        raise ValueError(f"{layer} has shapes {shape} and {_shape(parts)}")
    kernel = parts["kernel"].read().astype(np.float32)
    if shape == of_torch:
        kernel = np.ascontiguousarray(kernel.transpose(2, 3, 1, 0))
    if not norm:
        if parts["bias"].shape != (channels_out,):
            raise ValueError(f"{layer} has shapes {shape} and {_shape(parts)}")
        return kernel, parts["bias"].read().astype(np.float32)
    if any(array.shape not in ((channels_out,), ()) for array in norm.values()):
        raise ValueError(f"the batch normalisation of {layer} has another number of channels")
    values = {part: array.read().astype(np.float64) for part, array in norm.items()}
    factor = values["weight"] / np.sqrt(values["running_var"] + EPSILON)
    before = parts["bias"].read() if "bias" in parts else np.zeros(channels_out)
    bias = (before - values["running_mean"]) * factor + values["bias"]
    return (kernel * factor).astype(np.float32), bias.astype(np.float32)


def _shape(parts: dict[str, NamedArray]) -> tuple[int, ...] | None:
    return parts["bias"].shape if "bias" in parts else None


def _other(arrays: Iterable[str]) -> str:
    """What network has names as these; empty if it is none that is known."""
    for pattern, network in OTHERS.items():
        if any(re.search(pattern, name) for name in arrays):
            return f"it holds {network}, not VGG-16 or VGG-19"
    return ""


def _what_instead(arrays: Arrays, count: int) -> str:
    """Why arrays are no VGG-16 or VGG-19."""
    if not count:
        names = ", ".join(list(arrays)[:3])
        return f"it names no layers of VGG (it has {count_text(len(arrays), 'array')}: {names})"
    return wrong_count(count)


def wrong_count(count: int) -> str:
    """The reason to refuse another number of convolutions than VGG-16 or VGG-19 have."""
    counted = f"it holds {count_text(count, 'convolution')}{FEWER.get(count, '')}"
    return f"{counted} (VGG-16 has 13, VGG-19 has 16)"
