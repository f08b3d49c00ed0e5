"""PNG whose profile or texts are larger than Pillow takes: they are passed over."""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from PIL import ImageFile, PngImagePlugin

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_TEXT = PngImagePlugin.MAX_TEXT_CHUNK  # bytes, inflated: beyond that Pillow refuses the file
MAX_TEXTS = PngImagePlugin.MAX_TEXT_MEMORY // 2  # bytes of all texts
MAX_PROFILE = 2**25  # bytes, inflated


def open_png(file: BinaryIO) -> ImageFile.ImageFile | None:
    """Open a PNG without its large texts and with its large profile; None for an ordinary one."""
    large: list[tuple[int, int]] = []  # (start, end) of the chunks that are left out, in bytes
    profile, notes, texts = None, [], 0
    for name, start, length in _chunks(file):
        if name not in (b"iCCP", b"tEXt", b"zTXt", b"iTXt"):
            continue
        file.seek(start + 8)
        size, content = _inflated(name, file.read(length))
        if name == b"iCCP" and size > MAX_TEXT:
            profile = content
            if profile is None:
                notes.append("its ICC profile is too large; its colours were left alone")
        elif name != b"iCCP" and size <= MAX_TEXT and texts + size <= MAX_TEXTS:
            texts += size
            continue
        elif name == b"iCCP":
            continue
        large.append((start, start + length + 12))
    file.seek(0)
    if not large:
        return None
    image = PngImagePlugin.PngImageFile(_without(file, large))
    if profile is not None:
        image.info["icc_profile"] = profile
    image.notes = notes  # type: ignore[attr-defined]
    return image


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield (name, start in the file, length of its data) of the chunks of a PNG."""
    position = len(SIGNATURE)
    while True:
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            return
        length, name = struct.unpack(">I4s", head)
        yield name, position, length
        if name == b"IEND":
            return
        position += length + 12


def _inflated(name: bytes, data: bytes) -> tuple[int, bytes | None]:
    """The size of a text or profile, at most a little over its limit; and a whole profile."""
    if name == b"tEXt":
        return len(data), None
    _, _, rest = data.partition(b"\0")  # behind the keyword
    if name == b"iTXt":
        if rest[:1] != b"\1":
            return len(data), None
        rest = rest[2:].split(b"\0", 2)[-1]  # behind the language and the translated keyword
    else:
        rest = rest[1:]
    limit = MAX_PROFILE if name == b"iCCP" else MAX_TEXT
    try:
        content = zlib.decompressobj().decompress(rest, limit + 1)
    except zlib.error:
        return 0, None  # Pillow leaves it out
    return len(content), content if len(content) <= limit else None


def _without(file: BinaryIO, gaps: list[tuple[int, int]]) -> io.BytesIO:
    """A copy of a file in memory, without the given ranges of bytes."""
    copy, position = io.BytesIO(), 0
    for start, end in gaps:
        file.seek(position)
        copy.write(file.read(start - position))
        position = end
    file.seek(position)
    copy.write(file.read())
    copy.seek(0)
    return copy
