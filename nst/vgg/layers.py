"""The layers of VGG-16 and VGG-19 by their usual names: conv1_1 .. conv5_4, pool1 .. pool5.

Source: Simonyan and Zisserman 2015, table 1, columns D and E.
"""

from collections.abc import Iterable

from nst.errors import WeightsError

CHANNELS = (64, 128, 256, 512, 512)  # of each block
CONVOLUTIONS = {  # in each block
    "VGG-16": (2, 2, 3, 3, 3),
    "VGG-19": (2, 2, 4, 4, 4),
}
NETWORKS = {"vgg19": "VGG-19", "vgg16": "VGG-16"}  # word of --network -> name


def convolutions(network: str) -> dict[str, tuple[int, int]]:
    """Return {conv layer: (channels in, channels out)} of a network, in order."""
    shapes, channels_in = {}, 3
    for block, (count, channels) in enumerate(zip(CONVOLUTIONS[network], CHANNELS, strict=True), 1):
        for index in range(1, count + 1):
            shapes[f"conv{block}_{index}"] = (channels_in, channels)
            channels_in = channels
    return shapes


def block(layer: str) -> int:
    """Return the number of a layer's block, from 1."""
    return int(layer.removeprefix("conv").removeprefix("pool")[0])


def channels(layer: str) -> int:
    """Return the number of channels of a layer's activation."""
    return CHANNELS[block(layer) - 1]


def layer_names(network: str) -> list[str]:
    """Return all layers of a network, convolutions and pools, from the image to the deepest."""
    names = []
    for block, count in enumerate(CONVOLUTIONS[network], 1):
        names += [f"conv{block}_{index}" for index in range(1, count + 1)] + [f"pool{block}"]
    return names


def layers_up_to(network: str, wanted: Iterable[str]) -> list[str]:
    """Return the layers from the image to the deepest of ``wanted``.

    Raises WeightsError if the network lacks one of ``wanted``.
    """
    names = layer_names(network)
    for layer in wanted:
        if layer not in names:
            if layer in layer_names("VGG-19"):
                advice = "use --network vgg19"
            else:
                advice = f"choose from {', '.join(names)}"
            raise WeightsError(f"{layer} is not a layer of {network}; {advice}")
    return names[: 1 + max(names.index(layer) for layer in wanted)]
