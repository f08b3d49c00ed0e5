"""Colour spaces by primaries and transfer function, and the way from their levels to sRGB."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from nst.pictures import hdr

# CIE 1931 (x, y) of red, green, blue and white.
Primaries = tuple[tuple[float, float], ...]
Transfer = Callable[[np.ndarray], np.ndarray]  # levels 0..1 -> light
D65, D50, C = (0.3127, 0.3290), (0.3457, 0.3585), (0.310, 0.316)
BT709: Primaries = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), D65)
BT601_625: Primaries = ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060), D65)
BT601_525: Primaries = ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65)
BT2020: Primaries = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65)
P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE: Primaries = ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060), D65)
ROMM: Primaries = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), D50)

PRIMARIES: dict[int, Primaries] = {  # by their numbers in ITU-T H.273
    1: BT709,
    2: BT709,  # unspecified
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), C),
    5: BT601_625,
    6: BT601_525,
    7: BT601_525,
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), C),
    9: BT2020,
    10: ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1 / 3, 1 / 3)),
    11: (*P3, (0.314, 0.351)),
    12: (*P3, D65),
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), D65),
}


def srgb_to_light(levels: np.ndarray) -> np.ndarray:
    """SRGB levels 0..1 -> light 0..1."""
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


def light_to_srgb(light: np.ndarray) -> np.ndarray:
    """Light 0..1 -> sRGB levels 0..1."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def power(exponent: float, levels: np.ndarray) -> np.ndarray:
    """Levels 0..1 -> light 0..1 by a pure power."""
    light: np.ndarray = levels**exponent
    return light


def romm_to_light(levels: np.ndarray) -> np.ndarray:
    """ROMM (ProPhoto) levels 0..1 -> light 0..1."""
    return np.where(levels < 1 / 32, levels / 16, levels**1.8)


def _logarithmic(decades: float, levels: np.ndarray) -> np.ndarray:
    return np.where(levels > 0, 10 ** ((levels - 1) * decades), 0)


TRANSFERS: dict[int, Transfer] = {  # by their numbers in ITU-T H.273
    # The curves of video are those of cameras; shown as they are, they are close to sRGB, and
    # that is how viewers show them.
    **dict.fromkeys((1, 2, 6, 7, 11, 12, 13, 14, 15), srgb_to_light),
    4: partial(power, 2.2),
    5: partial(power, 2.8),
    8: partial(power, 1.0),
    9: partial(_logarithmic, 2),
    10: partial(_logarithmic, 2.5),
    16: hdr.pq_to_light,
    17: lambda levels: levels**2.6 * (52.37 / 48),
    18: hdr.hlg_to_scene,
}
HDR: dict[Transfer, str] = {hdr.pq_to_light: "PQ", hdr.hlg_to_scene: "HLG"}


@dataclass(frozen=True)
class ColourSpace:
    """What the levels of a picture stand for.

    primaries: (x, y) of red, green, blue and white. ValueError if they span no colours.
    to_light: levels 0..1 -> light, 1 = white. With HLG, light of the scene.
    narrow: levels of 8 bits are 16..235, deeper ones likewise.
    """

    primaries: Primaries = BT709
    to_light: Transfer = srgb_to_light
    narrow: bool = False

    def __post_init__(self) -> None:
        if self.primaries != BT709:
            self.matrix()

    @property
    def hdr(self) -> str | None:
        """PQ or HLG; None for standard dynamic range."""
        return HDR.get(self.to_light)

    def matrix(self) -> np.ndarray:
        """(3, 3): light in these primaries -> light in those of sRGB, white to white."""
        to_xyz = _to_xyz(self.primaries)
        matrix: np.ndarray = _adaptation(self.primaries[3]) @ to_xyz
        return np.linalg.inv(_to_xyz(BT709)) @ matrix

    def luminance(self) -> np.ndarray:
        """(3,): shares of red, green and blue in the luminance, with the sum 1."""
        weights: np.ndarray = _to_xyz(self.primaries)[1]
        return weights

    def light_table(self, dtype: np.dtype) -> np.ndarray:
        """(256,) or (65536,) float32: light of each level of uint8 or uint16."""
        top = np.iinfo(dtype).max
        levels = np.arange(top + 1) / top
        if self.narrow:
            unit = (top + 1) / 256
            levels = np.clip((np.arange(top + 1) / unit - 16) / 219, 0, 1)
        return self.to_light(levels).astype(np.float32)


SRGB = ColourSpace()


def from_codes(primaries: int, transfer: int, narrow: bool = False) -> ColourSpace | None:
    """The colour space of two numbers of ITU-T H.273 (cICP, nclx); None if one is not known."""
    if primaries not in PRIMARIES or transfer not in TRANSFERS:
        return None
    return ColourSpace(PRIMARIES[primaries], TRANSFERS[transfer], narrow)


def _to_xyz(primaries: Primaries) -> np.ndarray:
    """(3, 3): light in these primaries -> CIE XYZ, white has Y = 1; may raise ValueError."""
    xyz = np.array([(x, y, 1 - x - y) for x, y in primaries]).T  # (3, 4)
    if xyz[1, 3] <= 0 or abs(np.linalg.det(xyz[:, :3])) < 1e-6:
        raise ValueError("these primaries span no colours")
    shares = np.linalg.solve(xyz[:, :3], xyz[:, 3] / xyz[1, 3])
    if shares.min() <= 0:
        raise ValueError("white is not among the colours of these primaries")
    return xyz[:, :3] * shares


BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def _adaptation(white: tuple[float, float]) -> np.ndarray:
    """(3, 3): XYZ seen under a white -> XYZ seen under D65 (Bradford)."""
    source, target = (BRADFORD @ ((x / y, 1, (1 - x - y) / y)) for x, y in (white, D65))
    return np.linalg.inv(BRADFORD) @ np.diag(target / source) @ BRADFORD


# Levels of sRGB for light in steps of 1/65535: near black, where it is steepest, a step is 0.05.
_ENCODED = np.rint(light_to_srgb(np.linspace(0, 1, 65536)) * 255).astype(np.uint8)


def encode_srgb(light: np.ndarray) -> np.ndarray:
    """Light, clipped to 0..1 -> sRGB levels, uint8."""
    return _ENCODED[np.rint(np.clip(light, 0, 1) * 65535).astype(np.uint16)]


def srgb_converter(space: ColourSpace, sample: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from levels of ``space`` to sRGB levels.

    It takes (..., 3) or (..., 1) uint8 or uint16 and returns uint8 of the same shape. Colours
    outside sRGB are clipped, high dynamic range is compressed.

    sample: (..., 3) or (..., 1) levels of the picture, which tell how bright it gets.
    """
    table = space.light_table(sample.dtype)
    channels = sample.shape[-1]
    if not space.hdr and (channels == 1 or space.primaries == BT709):
        levels = np.rint(light_to_srgb(table.astype(np.float64)) * 255).clip(0, 255)
        encoded = levels.astype(np.uint8)
        return lambda levels: encoded[levels]
    matrix = space.matrix().astype(np.float32)
    luminance = space.luminance().astype(np.float32)

    def to_light(levels: np.ndarray) -> np.ndarray:
        light = table[levels]
        if space.to_light is hdr.hlg_to_scene:
            scene = light @ luminance if channels == 3 else light[..., 0]
            light = hdr.hlg_to_light(light, scene[..., np.newaxis])
        if channels == 3:
            light = light @ matrix.T
        return np.maximum(light, 0)

    if not space.hdr:
        return lambda levels: encode_srgb(to_light(levels))
    # Not the very brightest, which may be a reflection of few pixels and darken all the others.
    peak = float(np.quantile(to_light(sample).max(axis=-1), 0.999))
    return lambda levels: encode_srgb(hdr.tone_map(to_light(levels), peak))
