"""A picture -> the bytes of a file: PNG, JPEG, WebP or 16-bit TIFF, with profile and metadata."""

import io
import json
import struct
from collections.abc import Mapping

import numpy as np
from PIL import Image, PngImagePlugin

from nst.errors import UsageError
from nst.images import SRGB
from nst.pictures import over_white

# The profile that is embedded, with a fixed date of creation: equal pictures are equal files.
_SRGB = SRGB.tobytes()
SRGB_BYTES = b"".join((_SRGB[:24], struct.pack(">6H", 2000, 1, 1, 0, 0, 0), _SRGB[36:]))

QUALITY = 95  # of JPEG, 0..100: no loss that is seen
MOST_SIDE = {"jpg": 65_500, "webp": 16_383}  # pixels along a side that the format can hold
MOST_COMMENT, MOST_TEXT = 60_000, 1000  # bytes; EXIF data of a JPEG file have 65,533 at most
# EXIF tags
DESCRIPTION, SOFTWARE, EXIF_IFD, USER_COMMENT = 0x010E, 0x0131, 0x8769, 0x9286


def check_side(kind: str, size: tuple[int, int]) -> None:
    """Raise UsageError if a picture of ``size`` is too large for a kind of file."""
    if max(size) > MOST_SIDE.get(kind, max(size)):
        raise UsageError(
            f"output_format: {kind} holds at most {MOST_SIDE[kind]} pixels along a side, and the "
            f"picture has {max(size)}; use --output_format png or tif"
        )


def to_pixels(rgb: np.ndarray, number_type: type = np.uint8) -> np.ndarray:
    """Round (H, W, 3) floats 0..255 to the pixels that a file holds, clipped: uint8, or uint16 of
    the range 0..65535."""
    pixels = np.empty(rgb.shape, number_type)
    factor = np.iinfo(number_type).max // 255
    for row, of_row in zip(pixels, rgb):  # by rows, to need little memory
        row[:] = np.rint(np.clip(of_row, 0, 255) * factor)
    return pixels


def on_white(rgb: np.ndarray, alpha: np.ndarray | None) -> Image.Image:
    """(H, W, 3), 0..255, with (H, W) uint8 alpha, as it looks on white paper."""
    transparency = None if alpha is None else Image.fromarray(alpha)
    return over_white(Image.fromarray(to_pixels(rgb)), transparency)


def encode(
    rgb: np.ndarray,
    kind: str,
    alpha: np.ndarray | None = None,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """Return the file of a picture, the same bytes for the same picture.

    rgb: (H, W, 3) sRGB, 0..255, uint8 or float; png, jpg and webp hold 8 bits of it, tif 16.
    kind: ``png``, ``jpg``, ``webp`` or ``tif``. alpha: (H, W) uint8; jpg shows it on white.
    metadata: texts by name; ``Software`` and ``Description`` go where programs look for them. PNG
        has each as a text chunk, the others all of them as JSON: in EXIF's UserComment, TIFF in its
        ImageDescription.
    """
    metadata = {n: v.encode(errors="replace").decode() for n, v in (metadata or {}).items()}
    if kind == "tif":
        return _tiff(rgb, alpha, metadata)
    image = on_white(rgb, alpha) if kind == "jpg" else Image.fromarray(to_pixels(rgb))
    if alpha is not None and kind != "jpg":
        image.putalpha(Image.fromarray(alpha))
    options: dict[str, object] = {"icc_profile": SRGB_BYTES}
    if kind == "png":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        for name, value in metadata.items():
            options["pnginfo"].add_itxt(name, value)
    else:
        options["exif"] = _exif(metadata)
        # Otherwise both would halve the resolution of colours, which strokes live on.
        of_webp = {"lossless": True, "exact": True}
        options |= {"quality": QUALITY, "subsampling": 0} if kind == "jpg" else of_webp
    buffer = io.BytesIO()
    image.save(buffer, {"jpg": "JPEG"}.get(kind, kind.upper()), **options)
    return buffer.getvalue()


def _exif(metadata: dict[str, str]) -> bytes:
    exif = Image.Exif()
    for tag, name in ((DESCRIPTION, "Description"), (SOFTWARE, "Software")):
        if name in metadata:
            exif[tag] = _ascii(metadata[name])[:MOST_TEXT]
    comment = b"ASCII\0\0\0" + json.dumps(metadata).encode()
    if len(comment) < MOST_COMMENT:
        exif.get_ifd(EXIF_IFD)[USER_COMMENT] = comment
    return exif.tobytes()


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()


def _tiff(rgb: np.ndarray, alpha: np.ndarray | None, metadata: dict[str, str]) -> bytes:
    import tifffile  # late, as few need it

    samples = to_pixels(rgb, np.uint16)
    if alpha is not None:
        samples = np.dstack((samples, alpha.astype(np.uint16) * 257))
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        samples,
        photometric="rgb",
        extrasamples=None if alpha is None else ["unassalpha"],
        compression="zlib",
        predictor=True,
        iccprofile=SRGB_BYTES,
        description=json.dumps(metadata),
        software=_ascii(metadata.get("Software", "")),
        metadata=None,
    )
    return buffer.getvalue()
