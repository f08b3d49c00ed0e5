"""A picture -> the bytes of a file: PNG, JPEG, WebP or 16-bit TIFF, with profile and metadata."""

import io
import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from nst.errors import UsageError
from nst.pictures.icc import SRGB
from nst.pictures.metadata import (
    EXIF_IFD,
    GPS_IFD,
    IPTC_TAG,
    Metadata,
    exif_tags,
    jpeg_iptc,
    png_iptc,
    tiff_tags,
    with_directories,
)
from nst.pictures.resize import over_white

# The embedded ICC profile has a fixed creation date, so that equal pictures are equal files.
_SRGB = SRGB.tobytes()
SRGB_BYTES = b"".join((_SRGB[:24], struct.pack(">6H", 2000, 1, 1, 0, 0, 0), _SRGB[36:]))

QUALITY = 95  # of JPEG, 0..100: no visible loss
MOST_SIDE = {"jpg": 65_500, "webp": 16_383}  # limit of the format, pixels along a side
MOST_COMMENT, MOST_TEXT = 60_000, 1000  # bytes; the EXIF data of a JPEG file hold up to 65,533
# EXIF tags
DESCRIPTION, SOFTWARE, USER_COMMENT = 0x010E, 0x0131, 0x9286


def check_side(kind: str, size: tuple[int, int]) -> None:
    """Raise UsageError if the format ``kind`` cannot hold a picture of ``size`` pixels."""
    if max(size) > MOST_SIDE.get(kind, max(size)):
        raise UsageError(
            f"output_format: {kind} holds at most {MOST_SIDE[kind]} pixels along a side, and the "
            f"picture has {max(size)}; use --output_format png or tif"
        )


def to_pixels(rgb: np.ndarray, dtype: type[np.uint8] | type[np.uint16] = np.uint8) -> np.ndarray:
    """Clip and round (H, W, 3) floats in 0..255 to uint8, or to uint16 scaled to 0..65535."""
    pixels: np.ndarray = np.empty(rgb.shape, dtype)
    factor = np.iinfo(dtype).max / 255  # 1.0 or 257.0; a float, as uint8 cannot hold 257
    for source, target in zip(rgb, pixels):  # row by row, to save memory
        target[:] = np.rint(np.clip(source, 0, 255) * factor)
    return pixels


def on_white(rgb: np.ndarray, transparency: np.ndarray | None) -> Image.Image:
    """Composite a picture over white.

    rgb: (H, W, 3), 0..255. transparency: (H, W) uint8, 0 transparent .. 255 opaque, or None.
    """
    channel = None if transparency is None else Image.fromarray(transparency)
    return over_white(Image.fromarray(to_pixels(rgb)), channel)


def encode(
    rgb: np.ndarray,
    kind: str,
    transparency: np.ndarray | None = None,
    metadata: Mapping[str, str] | None = None,
    kept: Metadata | None = None,
) -> bytes:
    """Return the bytes of a picture file; equal pictures give equal bytes.

    rgb: (H, W, 3) sRGB, 0..255, uint8 or float; png, jpg and webp keep 8 bits, tif 16.
    kind: ``png``, ``jpg``, ``webp`` or ``tif``.
    transparency: (H, W) uint8, 0 transparent .. 255 opaque, or None; jpg composites it over white.
    metadata: {name: text}. PNG stores each as a text chunk; the others store all of them as JSON,
        in EXIF's UserComment or TIFF's ImageDescription. ``Software`` and ``Description`` also go
        to the fields of those names.
    kept: metadata of the photo, which go to EXIF, XMP and IPTC; its caption wins over the
        ``Description``.
    """
    texts = {name: _valid_utf8(text) for name, text in (metadata or {}).items()}
    if kind == "tif":
        return _tiff(rgb, transparency, texts, kept)
    options: dict[str, Any] = {"icc_profile": SRGB_BYTES}
    if kind == "png":
        chunks = PngImagePlugin.PngInfo()
        for name, text in texts.items():
            chunks.add_itxt(name, text)
        options["pnginfo"] = chunks
        if kept:
            options["exif"] = _exif({}, kept, rgb.shape[:2])
            if kept.xmp:
                chunks.add_itxt("XML:com.adobe.xmp", kept.xmp.decode())
            if kept.iptc:
                chunks.add_text("Raw profile type iptc", png_iptc(kept.iptc), zip=True)
    else:
        options["exif"] = _exif(texts, kept, rgb.shape[:2], iptc=kind == "webp")
        if kept and kept.xmp:
            options["xmp"] = kept.xmp
        if kept and kept.iptc and kind == "jpg":
            options["extra"] = jpeg_iptc(kept.iptc)
    if kind == "webp":  # lossless: lossy WebP halves the colour resolution, which blurs strokes
        options |= {"lossless": True, "exact": True}
    if kind == "jpg":
        options |= {"quality": QUALITY, "subsampling": 0}  # full colour resolution
        image = on_white(rgb, transparency)
    else:
        image = Image.fromarray(to_pixels(rgb))
        if transparency is not None:
            image.putalpha(Image.fromarray(transparency))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG" if kind == "jpg" else kind.upper(), **options)
    return buffer.getvalue()


def _valid_utf8(text: str) -> str:
    """Replace the lone surrogates of undecodable file names by question marks."""
    return text.encode(errors="replace").decode()


def _exif(
    metadata: dict[str, str], kept: Metadata | None, size: tuple[int, ...], iptc: bool = False
) -> bytes:
    """EXIF data of ``metadata``, and of a photo for a result of ``size``, (height, width).

    iptc: whether its IPTC records go there, too.
    """
    exif = Image.Exif()
    for tag, name in ((DESCRIPTION, "Description"), (SOFTWARE, "Software")):
        if name in metadata:
            exif[tag] = _ascii(metadata[name])[:MOST_TEXT]
    if kept:
        tags, of_camera = exif_tags(kept, (size[0], size[1]))
        exif.update(tags)
        exif.get_ifd(EXIF_IFD).update(of_camera)
        if kept.gps:
            exif.get_ifd(GPS_IFD).update(kept.gps)
        if kept.iptc and iptc:
            exif[IPTC_TAG] = kept.iptc
    comment = b"ASCII\0\0\0" + json.dumps(metadata).encode()
    if metadata and len(comment) < MOST_COMMENT - len(exif.tobytes()):
        exif.get_ifd(EXIF_IFD)[USER_COMMENT] = comment
    return exif.tobytes()


def _ascii(text: str) -> str:
    """Replace other characters than ASCII by question marks."""
    return text.encode("ascii", "replace").decode()


def _tiff(
    rgb: np.ndarray,
    transparency: np.ndarray | None,
    metadata: dict[str, str],
    kept: Metadata | None,
) -> bytes:
    import tifffile  # late: few runs need it

    samples = to_pixels(rgb, np.uint16)  # (H, W, 3), or (H, W, 4) with transparency
    if transparency is not None:
        samples = np.dstack((samples, transparency.astype(np.uint16) * 257))
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        samples,
        photometric="rgb",
        extrasamples=None if transparency is None else ["unassalpha"],
        compression="zlib",
        predictor=True,
        iccprofile=SRGB_BYTES,
        description=json.dumps(metadata),
        software=_ascii(metadata.get("Software", "")),
        metadata=None,
        byteorder="<",
        extratags=tiff_tags(kept) if kept else (),
    )
    file = buffer.getvalue()
    return with_directories(file, kept, (rgb.shape[0], rgb.shape[1])) if kept else file
