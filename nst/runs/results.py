"""The pictures of a finished run, and another kind made of them without painting."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nst import layout
from nst.files import file_hash
from nst.options import OUTPUT_FORMATS
from nst.pictures.metadata import Metadata
from nst.pictures.write import encode

LOSSLESS = ("tif", "png", "webp")  # the deepest first


@dataclass(frozen=True)
class Source:
    """A file with the pixels of a finished run.

    kind: one of OUTPUT_FORMATS.
    """

    path: Path
    kind: str


def recorded_results(about: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """{kind: {sha256, keep_metadata}} of the pictures in a manifest; raises what a forged one can.

    Runs of earlier versions have one, without the metadata of the photo.
    """
    if "results" in about:
        return {kind: dict(result) for kind, result in about["results"].items()}
    result = {"sha256": about["result_sha256"], "keep_metadata": False}
    return {about["settings"]["output_format"]: result}


def whole_results(folder: Path, about: dict[str, Any]) -> dict[str, Path]:
    """{kind: path} of the pictures of a finished run that are still those of its manifest."""
    whole = {}
    try:
        for kind, result in recorded_results(about).items():
            path = folder / f"{layout.RESULT}.{kind}"
            if kind in OUTPUT_FORMATS and path.is_file() and file_hash(path) == result["sha256"]:
                whole[kind] = path
    except (OSError, AttributeError, LookupError, TypeError, ValueError):  # a forged manifest
        return {}
    return whole


def find_source(folder: Path, about: dict[str, Any]) -> Source | None:
    """Where pictures of other kinds can be made of, in full quality; None if of nothing.

    A JPEG has lost some of it, but the last frame of its run may hold it.
    """
    whole = whole_results(folder, about)
    for kind in LOSSLESS:
        if kind in whole:
            return Source(whole[kind], kind)
    last = about.get("iterations")
    if whole and isinstance(last, int):
        frame = folder / layout.frame_name(last)
        if _is_frame(frame, about):
            return Source(frame, "png")
    return None


def _is_frame(path: Path, about: dict[str, Any]) -> bool:
    """Whether a file is a whole PNG of the size of the result."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            image.load()
            return image.size == (about["size"]["width"], about["size"]["height"])
    except (OSError, SyntaxError, ValueError, LookupError, TypeError):
        return False


def convert(
    source: Source, kind: str, provenance: dict[str, str], metadata: Metadata | None
) -> bytes:
    """The file of a picture of ``kind``, made of ``source``."""
    if source.kind == "tif":
        import tifffile  # late: few runs need it

        samples = tifffile.imread(source.path)  # (H, W, 3 or 4) uint16
        rgb = samples[:, :, :3] / np.float32(257)
        alpha = (samples[:, :, 3:] / np.float32(257)).astype(np.uint8)
    else:
        with Image.open(source.path) as image:
            samples = np.asarray(image)  # (H, W, 3 or 4) uint8
        rgb, alpha = samples[:, :, :3], samples[:, :, 3:]
    transparency = np.ascontiguousarray(alpha[:, :, 0]) if alpha.shape[2] else None
    return encode(rgb, kind, transparency, provenance, metadata)
