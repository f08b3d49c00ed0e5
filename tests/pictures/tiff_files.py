"""TIFF files of every kind, each of which shows the same picture."""

import struct
from dataclasses import dataclass

import numpy as np
import tifffile
from hypothesis import strategies as st
from PIL import Image, ImageCms

from helpers import ROOT

with Image.open(ROOT / "images/temple.jpg") as shipped:
    PHOTO = shipped.resize((45, 30))
RGB = np.asarray(PHOTO)
HEIGHT, WIDTH, _ = RGB.shape
GREY = np.asarray(PHOTO.convert("L"))[:, :, None]
OPACITY = np.tile(np.linspace(0, 255, WIDTH).round().astype(np.uint8), (HEIGHT, 1))[:, :, None]
SRGB, LAB = (ImageCms.createProfile(name) for name in ("sRGB", "LAB"))
IN_LAB = np.asarray(ImageCms.profileToProfile(PHOTO, SRGB, LAB, outputMode="LAB"))
NUMBERS = ("u1", "u2", "u4", "u8", "f2", "f4", "f8", "packed10", "packed12", "packed14")
COLOURS = {
    "minisblack": GREY,
    "miniswhite": 255 - GREY,
    "rgb": RGB,
    "separated": np.asarray(PHOTO.convert("CMYK")),
    "cielab": IN_LAB,
}


@dataclass(frozen=True)
class Kind:
    """How a TIFF holds its picture; numbers: a dtype without byte order, or packed10 and so on."""

    numbers: str = "u1"
    photometric: str = "rgb"
    planar: str = "contig"
    compression: str | None = None
    predictor: bool = False
    byteorder: str = "<"
    alpha: str | None = None
    tile: tuple[int, int] | None = None
    bigtiff: bool = False

    def write(self, path):
        samples = self.samples()
        if self.numbers.startswith("packed"):
            path.write_bytes(packed(samples, self))
            return
        options = {}
        if samples.shape[2] == 1:
            samples = samples[:, :, 0]
        else:
            options["planarconfig"] = self.planar
            if self.planar == "separate":
                samples = np.moveaxis(samples, 2, 0)
        tifffile.imwrite(
            path,
            np.ascontiguousarray(samples),
            photometric=self.photometric,
            compression=self.compression,
            predictor=self.predictor or None,
            byteorder=self.byteorder,
            extrasamples=None if self.alpha is None else [self.alpha],
            tile=self.tile,
            bigtiff=self.bigtiff,
            metadata=None,
            **options,
        )

    def samples(self):
        """(H, W, channels) of the numbers that stand in the file."""
        levels = COLOURS[self.photometric]
        if self.alpha == "assocalpha" and self.photometric == "cielab":
            signed = levels.view(np.int8) * (OPACITY / 255)
            light = levels[:, :, :1] * (OPACITY / 255)
            levels = np.dstack([light, signed[:, :, 1:]]).round().astype(np.int16).astype(np.uint8)
        elif self.alpha == "assocalpha":
            levels = np.rint(levels * (OPACITY / 255)).astype(np.uint8)
        if self.alpha is not None:
            levels = np.concatenate([levels, OPACITY], axis=2)
        if self.numbers.startswith("packed"):
            return np.rint(levels / 255 * (2 ** int(self.numbers[6:]) - 1)).astype(np.uint32)
        if self.numbers[0] == "f":
            return (levels / 255).astype(self.numbers)
        if self.photometric == "cielab" and self.numbers == "u2":
            signed = levels[:, :, 1:3].view(np.int8).astype(np.int16) * 256
            deep = levels * np.uint16(257)
            deep[:, :, 1:3] = signed.view(np.uint16)
            return deep
        factor = {1: 1, 2: 257, 4: 16843009, 8: 72340172838076673}[int(self.numbers[1])]
        return levels.astype(self.numbers) * np.array(factor, self.numbers)

    def shown(self):
        """(H, W, 3) float: what a viewer shows on white."""
        if self.photometric in ("minisblack", "miniswhite"):
            levels = np.repeat(GREY, 3, axis=2).astype(float)
        else:
            levels = RGB.astype(float)
        if self.alpha in ("assocalpha", "unassalpha"):
            levels = levels * (OPACITY / 255) + 255 - OPACITY
        return levels


@st.composite
def kinds(draw):
    """Kinds that tifffile can write, and for which it is clear what they show."""
    numbers = draw(
        st.sampled_from(
            ["u1", "u2", "u4", "u8", "f2", "f4", "f8", "packed10", "packed12", "packed14"]
        )
    )
    photometric = draw(st.sampled_from(list(COLOURS)))
    if photometric == "cielab":
        numbers = draw(st.sampled_from(["u1", "u2"]))
    is_packed = numbers.startswith("packed")
    compression = None
    if not is_packed:
        compression = draw(st.sampled_from([None, "lzw", "zlib", "packbits", "zstd", "lzma"]))
    # Colours that are divided by a small opacity of 8 bits are not what they were.
    alphas = [None, "unassalpha", "unspecified"]
    if photometric in ("rgb", "separated", "cielab"):
        alphas.append("assocalpha")
    return Kind(
        numbers,
        photometric,
        draw(st.sampled_from(["contig", "separate"])) if not is_packed else "contig",
        compression,
        compression is not None and numbers != "u8" and draw(st.booleans()),
        draw(st.sampled_from("<>")),
        draw(st.sampled_from(alphas)) if not is_packed else None,
        draw(st.sampled_from([None, (16, 32)])) if not is_packed else None,
        draw(st.booleans()),
    )


PHOTOMETRICS = {"miniswhite": 0, "minisblack": 1, "rgb": 2, "separated": 5, "cielab": 8}


def packed(samples, kind):
    """A TIFF of samples of some number of bits, which tifffile writes in one byte order alone."""
    bits, (height, width, channels) = int(kind.numbers[6:]), samples.shape
    digits = (samples.reshape(height, -1, 1) >> np.arange(bits - 1, -1, -1)) & 1
    data = np.packbits(digits.astype(np.uint8).reshape(height, -1), axis=1).tobytes()
    tags = {
        256: (3, width),
        257: (3, height),
        258: (3, bits),
        259: (3, 1),
        262: (3, PHOTOMETRICS[kind.photometric]),
        273: (4, None),
        277: (3, channels),
        278: (3, height),
        279: (4, len(data)),
    }
    order = kind.byteorder
    start = 8 + 2 + 12 * len(tags) + 4
    entries = b""
    for tag, (size, value) in tags.items():
        value = start if value is None else value
        word = struct.pack(order + ("HH" if size == 3 else "I"), *((value, 0)[: 5 - size]))
        entries += struct.pack(order + "HHI", tag, size, 1) + word
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(order + "IH", 8, len(tags)) + entries + struct.pack("I", 0) + data
