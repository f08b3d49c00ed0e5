"""The layers of VGG are found under every name that people's files have."""

import numpy as np
import pytest

from nst.vgg.arrays import NamedArray
from nst.vgg.layers import convolutions
from nst.vgg.named_layers import EPSILON, find_layers

PLACES = {  # of the convolutions in torchvision's features
    "VGG-16": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    "VGG-19": (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34),
}


def listed(array):
    return NamedArray(array.shape, lambda: array)


def never_read(shape):
    return NamedArray(shape, lambda: pytest.fail("read"))


def arrays(layers, name, of_torch=True):
    """Layers as named arrays. name: called with layer, place and part, weight or bias."""
    found = {}
    places = PLACES["VGG-19" if "conv3_4" in layers else "VGG-16"]
    for place, (layer, (kernel, bias)) in zip(places, layers.items()):
        found[name(layer, place, "weight")] = listed(
            kernel.transpose(3, 2, 0, 1) if of_torch else kernel
        )
        found[name(layer, place, "bias")] = listed(bias)
    return found


def in_block(layer):
    return layer.replace("conv", "block").replace("_", "_conv")


def slice_of(place):
    return 1 + sum(place > last for last in (3, 8, 15, 22))


def in_keras(part):
    return {"weight": "kernel", "bias": "bias"}[part]


OF_TORCH = {
    "torchvision": lambda layer, place, part: f"features.{place}.{part}",
    "parallel": lambda layer, place, part: f"module.features.{place}.{part}",
    "wrapped": lambda layer, place, part: f"state_dict.model.vgg.features.{place}.{part}",
    "bare": lambda layer, place, part: f"{place}.{part}",
    "slices": lambda layer, place, part: f"net.slice{slice_of(place)}.{place}.{part}",
    "named": lambda layer, place, part: f"{layer}.{part}",
    "features named": lambda layer, place, part: f"features.{layer}.{part}",
}
OF_KERAS = {
    "old": lambda layer, place, part: f"{in_block(layer)}/{in_block(layer)}_{part[0].upper()}_1:0",
    "new": lambda layer, place, part: f"vgg/{in_block(layer)}/{in_keras(part)}:0",
    "slim": lambda layer, place, part: f"vgg_19/{layer[:5]}/{layer}/{part}s",
}


@pytest.mark.parametrize("name", [*OF_TORCH, *OF_KERAS])
@pytest.mark.parametrize("network", ["VGG-16", "VGG-19"])
def test_every_way_of_naming(vgg16, vgg19, network, name):
    layers = {"VGG-16": vgg16, "VGG-19": vgg19}[network].layers
    given = arrays(layers, {**OF_TORCH, **OF_KERAS}[name], name in OF_TORCH)
    given["classifier.0.weight"] = never_read((4096, 25088))
    given["classifier.0.bias"] = never_read((4096,))
    given["head.fc.weight"] = never_read((1000, 4096))
    given = dict(reversed(given.items()))
    found, first = find_layers(given)
    assert first is None
    assert list(found) == list(convolutions(network))
    for layer, (kernel, bias) in layers.items():
        assert (found[layer][0] == kernel).all()
        assert (found[layer][1] == bias).all()


@pytest.mark.parametrize("has_bias", [True, False])
def test_batch_normalisation_is_folded(vgg16, has_bias):
    """It comes between convolution and ReLU; what they compute together stays."""
    random = np.random.default_rng(0)
    given, norms = {}, {}
    place = 0
    for layer, (kernel, bias) in vgg16.layers.items():
        given[f"features.{place}.weight"] = listed(kernel.transpose(3, 2, 0, 1))
        if has_bias:
            given[f"features.{place}.bias"] = listed(bias)
        norms[layer] = {
            "weight": random.uniform(0.5, 2, len(bias)),
            "bias": random.normal(size=len(bias)),
            "running_mean": random.normal(size=len(bias)),
            "running_var": random.uniform(0.1, 3, len(bias)),
            "num_batches_tracked": np.array(7),
        }
        for part, values in norms[layer].items():
            given[f"features.{place + 1}.{part}"] = listed(values)
        place += 3 + (layer in ("conv1_2", "conv2_2", "conv3_3", "conv4_3"))
    found, _ = find_layers(given)
    for layer, (kernel, bias) in vgg16.layers.items():
        norm, x = norms[layer], random.normal(size=kernel.shape[:3])
        response = np.einsum("hwi,hwio->o", x, kernel) + (bias if has_bias else 0)
        response = (response - norm["running_mean"]) / np.sqrt(norm["running_var"] + EPSILON)
        expected = response * norm["weight"] + norm["bias"]
        folded = np.einsum("hwi,hwio->o", x, found[layer][0]) + found[layer][1]
        np.testing.assert_allclose(folded, expected, atol=1e-4)


def convolutional(*lengths):
    """Names and shapes as torchvision gives them, for some channels each."""
    shapes, channels = {}, 3
    for place, length in enumerate(lengths):
        shapes[f"features.{place}.weight"] = (length, channels, 3, 3)
        shapes[f"features.{place}.bias"] = (length,)
        channels = length
    return shapes


VGG_11 = (64, 128, 256, 256, 512, 512, 512, 512)
VGG_13 = (64, 64, 128, 128, 256, 256, 512, 512, 512, 512)
OTHERS = {
    "VGG-11": (convolutional(*VGG_11), "it holds 8 convolutions, as VGG-11 does"),
    "VGG-13": (convolutional(*VGG_13), "it holds 10 convolutions, as VGG-13 does"),
    "AlexNet": (
        {"features.0.weight": (64, 3, 11, 11)},
        "it holds 1 convolution (VGG-16 has 13, VGG-19 has 16)",
    ),
    "ResNet": (
        {"conv1.weight": (64, 3, 7, 7), "layer1.0.conv1.weight": (64, 64, 3, 3)},
        "a ResNet",
    ),
    "DenseNet": ({"features.denseblock1.denselayer1.conv1.weight": (1, 1, 1, 1)}, "a DenseNet"),
    "Inception": ({"Mixed_5b.branch1x1.conv.weight": (1, 1, 1, 1)}, "an Inception network"),
    "MobileNet": ({"features.0.0.weight": (32, 3, 3, 3)}, "a MobileNet or EfficientNet"),
    "ViT": ({"blocks.0.attn.qkv.weight": (1, 1)}, "a vision transformer"),
    "nothing": ({}, "names no layers of VGG (it has 0 arrays"),
    "others": ({"a": (1,), "b": (2,)}, "names no layers of VGG (it has 2 arrays: a, b)"),
    "names of VGG-11": (
        {f"conv{b}_1.weight": (1, 1, 3, 3) for b in range(1, 6)}
        | {f"conv{b}_2.weight": (1, 1, 3, 3) for b in range(3, 6)},
        "it holds 8 convolutions, as VGG-11 does",
    ),
    "named normalisation": (
        {"conv1_1.weight": (64, 3, 3, 3), "bn_conv1_1.running_mean": (64,)},
        "known under the names of torchvision's vgg16_bn and vgg19_bn alone",
    ),
    "twice": (
        {"a.features.0.weight": (64, 3, 3, 3), "b.features.0.weight": (64, 3, 3, 3)},
        "it holds two sequences of layers",
    ),
    "named twice": (
        {"a/conv1_1/kernel": (3, 3, 3, 64), "b/conv1_1/kernel": (3, 3, 3, 64)},
        "it holds conv1_1 twice",
    ),
    "theano": (
        {"block1_conv1/block1_conv1_W": (3, 64, 3, 3), "block1_conv1/block1_conv1_b": (64,)},
        "conv1_1 has shapes (3, 64, 3, 3) and (64,)",
    ),
    "no bias": ({"conv1_1.weight": (64, 3, 3, 3)}, "conv1_1 lacks its bias"),
    "no kernel": ({"conv1_1.bias": (64,)}, "conv1_1 lacks its kernel"),
}


@pytest.mark.parametrize(("shapes", "words"), OTHERS.values(), ids=OTHERS)
def test_other_networks_are_named_before_anything_is_read(shapes, words):
    with pytest.raises(ValueError) as refusal:  # noqa: PT011
        find_layers({name: never_read(shape) for name, shape in shapes.items()})
    assert words in str(refusal.value)
