"""ICC profiles: which fit a picture, and the way from its levels to sRGB (LittleCMS)."""

import io
import struct

import numpy as np
from PIL import Image, ImageChops, ImageCms

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))

CLASSES = {  # that do not tell what the levels of a picture stand for
    "link": "links two devices",
    "abst": "is an effect",
    "nmcl": "names single colours",
}
MODES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK", "Lab": "LAB"}  # colour space -> mode of Pillow

INTENTS = {  # that profiles name, and what is used; where it is not known, the perceptual one
    1: ImageCms.Intent.RELATIVE_COLORIMETRIC,
    2: ImageCms.Intent.SATURATION,
    3: ImageCms.Intent.RELATIVE_COLORIMETRIC,  # absolute would tint white
}


def is_grey(image: Image.Image) -> bool:
    """Whether red, green and blue of an RGB image are the same everywhere."""
    red, green, blue = image.split()[:3]
    return not any(ImageChops.difference(red, other).getbbox() for other in (green, blue))


def image_of(levels: np.ndarray, mode: str) -> Image.Image:
    """An image of levels (H, W, channels) uint8; a* and b* of LAB have an offset of 128."""
    if mode == "L":
        return Image.fromarray(levels[..., 0])
    if mode == "LAB":
        levels = levels ^ np.array((0, 128, 128), np.uint8)  # Pillow has them signed
    height, width = levels.shape[:2]
    return Image.frombytes(mode, (width, height), levels.tobytes())


class Profile:
    """An ICC profile of a picture; OSError or ImageCms.PyCMSError if it is damaged."""

    def __init__(self, data: bytes) -> None:
        self._cms = ImageCms.ImageCmsProfile(io.BytesIO(data))
        self._data = data
        self._class = self._cms.profile.device_class.strip()
        self._space = self._cms.profile.xcolor_space.strip()

    def unfit(self, image: Image.Image) -> str | None:
        """Why the profile does not fit an image of mode L, RGB, CMYK or LAB; None if it does."""
        if self._class in CLASSES:
            return CLASSES[self._class]
        mode = MODES.get(self._space)
        if mode == image.mode or (mode == "RGB" and image.mode == "L"):
            return None
        if mode == "L" and image.mode == "RGB" and is_grey(image):
            return None
        return f"is for {self._space} pictures"

    @property
    def mode(self) -> str:
        """The mode of Pillow that the profile is for."""
        return MODES[self._space]

    def video_codes(self) -> tuple[int, int, bool] | None:
        """Primaries and transfer function by ITU-T H.273, and whether levels are narrow; or None.

        They are in the tag ``cicp``, and decide where it is.
        """
        (count,) = struct.unpack_from(">I", self._data, 128)
        for start in range(132, min(132 + 12 * count, len(self._data) - 11), 12):
            tag, offset, size = struct.unpack_from(">4sII", self._data, start)
            if tag == b"cicp" and size >= 12 and offset + 12 <= len(self._data):
                primaries, transfer, _, full = self._data[offset + 8 : offset + 12]
                return primaries, transfer, not full
        return None

    def transform(self) -> "Transform":
        """From an image of ``mode`` to sRGB; raises ImageCms.PyCMSError.

        By the intent that the profile names, and with black point compensation.
        """
        intent = INTENTS.get(self._cms.profile.rendering_intent, ImageCms.Intent.PERCEPTUAL)
        return Transform(self._cms, self.mode, intent)


class Transform:
    """From the levels of images of ``mode`` to sRGB; ImageCms.PyCMSError if there is no way."""

    def __init__(
        self, profile: ImageCms.ImageCmsProfile, mode: str, intent: ImageCms.Intent
    ) -> None:
        self.mode = mode
        flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
        # Grey levels are few: exact. Otherwise LittleCMS has tables of its own, here finer ones.
        flags |= ImageCms.Flags.NOOPTIMIZE if mode == "L" else ImageCms.Flags.HIGHRESPRECALC
        self._transform = ImageCms.buildTransform(profile, SRGB, mode, "RGB", intent, flags)
        self._greys: np.ndarray | None = None
        if mode == "L":
            ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[np.newaxis])
            self._greys = np.asarray(self._apply(ramp))[0]

    def _apply(self, image: Image.Image) -> Image.Image:
        converted = ImageCms.applyTransform(image, self._transform)
        assert converted is not None  # None only for inPlace=True
        return converted

    def apply(self, image: Image.Image) -> Image.Image:
        """An image of the mode of the transform -> RGB."""
        if self._greys is None:
            return self._apply(image)
        return Image.fromarray(self._greys[np.asarray(image)])

    def apply_deep(self, levels: np.ndarray) -> np.ndarray:
        """Levels of 16 bits in sRGB of 8: (H, W, 1, 3 or 4) uint16 -> (H, W, 3) uint8.

        a* and b* of LAB have an offset of half their range.

        Pillow gives LittleCMS no more than 8 bits. So the colours of neighbouring 8-bit levels are
        interpolated over the simplex around each pixel, as LittleCMS does within its own tables.
        """
        base, rest = np.divmod(levels.astype(np.int32), 257)
        order = np.argsort(-rest, axis=-1)
        ordered = np.take_along_axis(rest, order, axis=-1).astype(np.float32) / 257
        shares = -np.diff(ordered, prepend=1, append=0, axis=-1)  # of each corner, with the sum 1
        mixed = np.zeros((*levels.shape[:2], 3), np.float32)
        for step in range(levels.shape[-1] + 1):
            if step:  # to the next corner of the simplex
                channel = order[..., step - 1 : step]
                corner = np.take_along_axis(base, channel, axis=-1) + 1
                np.put_along_axis(base, channel, np.minimum(corner, 255), axis=-1)
            if not shares[..., step].any():
                continue  # as of levels of 8 bits, which need the first corner alone
            image = image_of(base.astype(np.uint8), self.mode)
            mixed += shares[..., step, np.newaxis] * np.asarray(self.apply(image))
        return np.rint(mixed).astype(np.uint8)


def lab_transform() -> Transform:
    """From a LAB image to sRGB."""
    return Transform(LAB, "LAB", ImageCms.Intent.PERCEPTUAL)
