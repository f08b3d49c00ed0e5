"""What boxes tell of colours: AVIF and HEIF (ISO 14496-12, 23008-12), JPEG 2000 (ISO 15444-1)."""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MOST_BYTES = 2**26  # of a box that is read
# Boxes that hold boxes, with the length of what stands before those: ``meta`` and the boxes of one
# picture, and those of a film, whose first frame is read.
HEADS = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"jp2h": 0}
FILM = {b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0, b"stsd": 8, b"av01": 78}
HEADS |= FILM | {b"hvc1": 78}

Box = tuple[bytes, bytes]  # its name, and what is in it


@dataclass(frozen=True)
class Colour:
    """A box ``colr``: one of these.

    icc: the profile. video: primaries and transfer function by ITU-T H.273. enumerated: number of
    a colour space of JPEG 2000.
    """

    icc: bytes | None = None
    video: tuple[int, int] | None = None
    enumerated: int | None = None


def read_colours(file: BinaryIO) -> list[Colour]:
    """The colours of the main picture of a file, in their order; [] if it tells none.

    struct.error or IndexError if its boxes are damaged.
    """
    top = list(_file_boxes(file))
    for name, data in sorted(top, key=lambda box: box[0] == b"moov"):
        if name == b"jp2h":
            return [_jpeg2000_colour(box) for kind, box in _boxes(data) if kind == b"colr"]
        colours = _main_item(data) if name == b"meta" else _film(data)
        if colours:
            return [_colour(box) for box in colours]
    return []


def _file_boxes(file: BinaryIO) -> Iterator[Box]:
    """The boxes of a file that may tell colours."""
    end = file.seek(0, os.SEEK_END)
    start = 0
    while start + 8 <= end:
        file.seek(start)
        size, name = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8))
            head = 16
        size = size or end - start
        if size < head:
            return
        if name in (b"meta", b"moov", b"jp2h") and size <= MOST_BYTES:
            yield name, file.read(size - head)
        start += size


def _boxes(data: bytes) -> Iterator[Box]:
    """The boxes in a box."""
    start = 0
    while start + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, start)
        if size < 8:  # up to the end, or longer than any that is looked for
            size = len(data) - start
        yield name, data[start + 8 : start + size]
        start += size


def _inside(data: bytes, *path: bytes) -> Iterator[bytes]:
    """What is in the boxes at the end of a path of names."""
    for name, inner in _boxes(data):
        if name == path[0]:
            if len(path) == 1:
                yield inner
            else:
                yield from _inside(inner[HEADS[name] :], *path[1:])


def _film(moov: bytes) -> list[bytes]:
    """The boxes ``colr`` of the first track of a film that has some."""
    for kind in (b"av01", b"hvc1"):
        path = (b"trak", b"mdia", b"minf", b"stbl", b"stsd", kind, b"colr")
        if boxes := list(_inside(moov, *path)):
            return boxes[:1]
    return []


def _main_item(meta: bytes) -> list[bytes]:
    """The boxes ``colr`` of the main picture in a box ``meta``."""
    meta = meta[HEADS[b"meta"] :]
    properties = [box for data in _inside(meta, b"iprp", b"ipco") for box in _boxes(data)]
    items: dict[int, list[bytes]] = {}  # number of an item -> its boxes colr
    for data in _inside(meta, b"iprp", b"ipma"):
        for item, index in _associations(data):
            if 0 < index <= len(properties) and properties[index - 1][0] == b"colr":
                items.setdefault(item, []).append(properties[index - 1][1])
    for data in _inside(meta, b"pitm"):
        (main,) = struct.unpack_from(">I" if data[0] else ">H", data, 4)
        if main in items:
            return items[main]
    # A picture of tiles may tell it at its tiles, which come first; maps and thumbnails come later.
    return next(iter(items.values()), [])


def _associations(ipma: bytes) -> Iterator[tuple[int, int]]:
    """(number of an item, index of one of its properties, from 1)."""
    version, flags, entries = struct.unpack_from(">B3sI", ipma)
    start = 8
    for _ in range(entries):
        item, count = struct.unpack_from(">IB" if version else ">HB", ipma, start)
        start += 5 if version else 3
        width, mask = (2, 0x7FFF) if flags[2] & 1 else (1, 0x7F)
        for _ in range(count):
            index = int.from_bytes(ipma[start : start + width], "big")
            yield item, index & mask
            start += width


def _colour(colr: bytes) -> Colour:
    if colr[:4] in (b"prof", b"rICC"):
        return Colour(icc=colr[4:])
    if colr[:4] == b"nclx":
        primaries, transfer = struct.unpack_from(">HH", colr, 4)
        return Colour(video=(primaries, transfer))
    return Colour()


def _jpeg2000_colour(colr: bytes) -> Colour:
    method = colr[0]
    if method == 1:
        return Colour(enumerated=struct.unpack_from(">I", colr, 3)[0])
    if method in (2, 3):
        return Colour(icc=colr[3:])
    if method == 5:
        primaries, transfer = struct.unpack_from(">HH", colr, 3)
        return Colour(video=(primaries, transfer))
    return Colour()
