"""JPEG: how many scans it has, whether its end is there, and reading it without its end marker."""

import io
import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from PIL import JpegImagePlugin

from nst.errors import PictureError
from nst.pictures.pixel_limits import MAX_PROGRESSIVE_PIXELS, MAX_REDUCED_PIXELS

MAX_SCANS = 200  # of a progressive JPEG: decoding each scan passes over the whole picture

# A marker that is no stuffed byte, no restart of the entropy-coded data and no fill byte.
_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])", re.DOTALL)
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL = (0xC0, 0xC1, 0xC9)
_SCAN, _END = 0xDA, 0xD9
_END_MARKER = b"\xff\xd9"
# Picture data, of which some stand behind each of the restart markers that may be awaited.
_OTHER_END = bytes(range(249, 0, -1))  # decoders go on with zeros
_OTHER_END += b"".join(bytes((0xFF, marker)) + _OTHER_END for marker in range(0xD0, 0xD8))
_OTHER_END += _END_MARKER


@dataclass
class JpegStructure:
    """What the segments of a JPEG tell, from its start to its end marker.

    size: (width, height) in pixels, (0, 0) before a frame header.
    progressive: whether the coefficients of the whole picture are kept while decoding.
    scans: counted up to MAX_SCANS + 1.
    ended: whether the end marker was met.
    unrefined: components whose coefficients lack some of their bits.
    """

    size: tuple[int, int] = (0, 0)
    progressive: bool = False
    scans: int = 0
    ended: bool = False
    unrefined: set[int] = field(default_factory=set)


def is_jpeg(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a JPEG."""
    return head[:3] == b"\xff\xd8\xff"


def open_jpeg(path: Path, file: BinaryIO, whole: bool) -> JpegImagePlugin.JpegImageFile:
    """Open a JPEG; the limits on its pixels and scans hold, so it need not pass others.

    whole: look for the end of the file, too, and mend a missing end marker; else only as far as
        is needed for the limits.

    Raises PictureError.
    """
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        structure = read_structure(data, whole)
        if structure.scans > MAX_SCANS:
            raise PictureError(
                f"{path}: has more than {MAX_SCANS} scans; save it again as an ordinary JPEG"
            )
        limit = MAX_PROGRESSIVE_PIXELS if structure.progressive else MAX_REDUCED_PIXELS
        if structure.size[0] * structure.size[1] > limit:
            kind = "progressive JPEG" if structure.progressive else "JPEG"
            raise PictureError(
                f"{path}: is a {kind} of more than {limit / 1e6:.0f} megapixels; make it smaller "
                "first"
            )
        if whole and structure.scans and not structure.ended:
            if structure.unrefined:
                raise PictureError(f"{path}: its end is missing; give a whole copy of it")
            return _EndlessJpeg(path, bytes(data))
    file.seek(0)
    return JpegImagePlugin.jpeg_factory(file)


def read_structure(data: bytes | mmap.mmap, whole: bool = True) -> JpegStructure:
    """The structure of a JPEG.

    whole: to the end marker; else the scans of a file that is decoded in one pass are not counted.
    """
    found = JpegStructure()
    components: dict[int, list[int]] = {}  # lowest bit that is known of each coefficient
    for marker, segment in _segments(data):
        if marker in _FRAMES and len(segment) >= 6:
            found.size = int.from_bytes(segment[3:5]), int.from_bytes(segment[1:3])
            components = {component: [99] * 64 for component in segment[6::3][: segment[5]]}
            found.progressive = marker not in _SEQUENTIAL
        elif marker == _SCAN:
            found.scans += 1
            in_one_pass = not found.progressive and segment[:1] == bytes([len(components)])
            if found.scans > MAX_SCANS or (in_one_pass and not whole):
                break
            if not in_one_pass and found.scans == 1:
                found.progressive = True  # several scans are kept as those of a progressive one
            _refine(components, segment)
        elif marker == _END:
            found.ended = True
            break
    found.unrefined = {component for component, bits in components.items() if any(bits)}
    return found


def _refine(components: dict[int, list[int]], scan: bytes) -> None:
    """Mark the coefficients that a scan header brings. components: lowest known bit of each."""
    count = scan[0] if scan else 0
    if len(scan) < 4 + 2 * count:
        return
    first, last, bits = scan[1 + 2 * count : 4 + 2 * count]
    for component in scan[1 : 1 + 2 * count : 2]:
        if component in components:
            known = components[component]
            known[first : last + 1] = [bits & 15] * len(known[first : last + 1])


def _segments(data: bytes | mmap.mmap) -> Iterator[tuple[int, bytes]]:
    """Yield (marker, content) of the segments behind the first marker, without image data."""
    position = 2
    while match := _MARKER.search(data, position):
        marker, position = data[match.start(1)], match.end()
        if marker in (0x01, 0xD8, _END):  # they stand alone
            yield marker, b""
            continue
        length = int.from_bytes(data[position : position + 2])
        yield marker, data[position + 2 : position + length]
        position += max(2, length)


class _EndlessJpeg(JpegImagePlugin.JpegImageFile):
    """A JPEG without its end marker.

    Where bits are missing, a decoder makes the rest of the picture out of what follows. So the
    file is whole if the pixels do not depend on what follows.
    """

    def __init__(self, path: Path, data: bytes) -> None:
        self.notes = ["its end marker is missing; all pixels were there"]
        self._data: bytes | None = data
        self._path = path
        super().__init__(io.BytesIO(data + _END_MARKER))

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> Any:
        self._draft = mode, size
        return super().draft(mode, size)

    def load(self) -> Any:
        pixels = super().load()
        if self._data is not None:
            data, self._data = self._data, None
            other = JpegImagePlugin.JpegImageFile(io.BytesIO(data.rstrip(b"\xff") + _OTHER_END))
            if hasattr(self, "_draft"):
                other.draft(*self._draft)
            if other.tobytes() != self.tobytes():
                raise PictureError(f"{self._path}: its end is missing; give a whole copy of it")
        return pixels
