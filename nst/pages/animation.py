"""The image forming: the frames of a run as a GIF or an MP4."""

import errno
import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation
from PIL import Image

from nst.files import replacing
from nst.layout import MARK
from nst.pictures.thumbnails import choose_evenly, open_picture, shrink

SECONDS = 6.0  # that the frames are to take
SHORTEST, LONGEST = 40, 250  # milliseconds for a frame
HOLD = 2000  # milliseconds for the last frame
MOST = {".gif": 80, ".mp4": 1000}  # frames
SIDE = {".gif": 480, ".mp4": 1080}  # pixels along the long side, at most
CRF = "18"  # constant quality of x264: no loss that is seen


def write(pictures: Sequence[Path], target: Path) -> None:
    """Write an animation of picture files, the first to the last, each for the same time.

    target: a ``.gif``, which repeats, or a ``.mp4`` (H.264), which browsers play. Of many pictures
    some are taken, evenly; those that cannot be read are left out. The last one is held for two
    seconds. Raises OSError.
    """
    kind = target.suffix
    chosen = choose_evenly(pictures, MOST[kind])
    delay = min(LONGEST, max(SHORTEST, 10 * round(100 * SECONDS / len(chosen))))
    frames = filter(None, map(open_picture, chosen))  # one by one: they may be large
    images = (shrink(image, SIDE[kind]) for image in frames)
    first = next(images, None)
    if first is None:
        raise FileNotFoundError(errno.ENOENT, "no frame of it can be read", str(target))
    with replacing(target) as temporary:
        writer = _write_gif if kind == ".gif" else _write_mp4
        writer(itertools.chain([first], images), delay, temporary)


def _write_gif(images: Iterator[Image.Image], delay: int, target: Path) -> None:
    first, *others = map(_paletted, images)
    first.save(
        target,
        "GIF",
        save_all=True,
        append_images=others,
        duration=[delay] * len(others) + [HOLD] if others else HOLD,
        loop=0,
        comment=MARK,
    )


def _paletted(image: Image.Image) -> Image.Image:
    """An image in the 256 colours that suit it best."""
    return image.quantize(palette=image.quantize(256), dither=Image.Dither.FLOYDSTEINBERG)


def _write_mp4(images: Iterator[Image.Image], delay: int, target: Path) -> None:
    with av.open(str(target), "w", format="mp4", options={"movflags": "faststart"}) as file:
        file.metadata["comment"] = MARK
        stream = None
        for number, image in enumerate(images):
            pixels = _even(np.asarray(image))
            if stream is None:
                stream = file.add_stream("libx264", rate=Fraction(1000, delay))
                stream.height, stream.width = pixels.shape[:2]
                stream.pix_fmt, stream.options = "yuv420p", {"crf": CRF, "preset": "medium"}
                context = stream.codec_context
                context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
                context.color_primaries = ColorPrimaries.BT709
                context.color_trc = ColorTrc.IEC61966_2_1  # of sRGB
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
                format="yuv420p",
                dst_colorspace=Colorspace.ITU709,
                dst_color_range=ColorRange.MPEG,
                interpolation=Interpolation.LANCZOS,
            )
            frame.pts = number
            file.mux(stream.encode(frame))
        assert stream is not None  # there is at least one image
        for again in range(HOLD // delay):
            frame.pts = number + 1 + again
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


def _even(pixels: np.ndarray) -> np.ndarray:
    """Repeat the last row and column where there is an odd number: H.264 halves the colours."""
    odd = [side % 2 for side in pixels.shape[:2]]
    return np.ascontiguousarray(np.pad(pixels, ((0, odd[0]), (0, odd[1]), (0, 0)), "edge"))
