"""The colours in the header of a BMP (BITMAPV4HEADER, BITMAPV5HEADER), which Pillow skips."""

import struct
from dataclasses import dataclass
from typing import BinaryIO

START = 14  # of the header in the file, bytes
KIND, ENDPOINTS, GAMMAS, PROFILE = 56, 60, 96, 112  # offsets in the header, bytes
LENGTH, LENGTH_5 = 108, 124  # of the header of version 4 and 5
CALIBRATED, LINKED, EMBEDDED = b"\0\0\0\0", b"KNIL", b"DEBM"
MOST_BYTES = 2**26  # of a profile


@dataclass(frozen=True)
class Colours:
    """What a header says.

    icc: the profile, or None. linked: whether the profile is in another file.
    endpoints: (x, y) of red, green and blue, six numbers, or () if it does not tell.
    gamma: of the levels, or 0 if it does not tell.
    """

    icc: bytes | None = None
    linked: bool = False
    endpoints: tuple[float, ...] = ()
    gamma: float = 0.0


def read_colours(file: BinaryIO) -> Colours:
    """The colours of the header of a BMP, from the start of its file."""
    head = file.read(START + LENGTH_5)[START:]
    if len(head) < LENGTH or struct.unpack_from("<I", head)[0] < LENGTH:
        return Colours()
    kind = head[KIND : KIND + 4]
    if kind == CALIBRATED:
        numbers = [number / 2**30 for number in struct.unpack_from("<9I", head, ENDPOINTS)]
        sums = [sum(numbers[i : i + 3]) for i in (0, 3, 6)]
        gamma = sum(struct.unpack_from("<3I", head, GAMMAS)) / 3 / 2**16
        if not all(sums):
            return Colours(gamma=gamma)
        x_y = (numbers[3 * i + j] / sums[i] for i in range(3) for j in range(2))
        return Colours(endpoints=tuple(x_y), gamma=gamma)
    if len(head) < LENGTH_5 or kind not in (LINKED, EMBEDDED):
        return Colours()
    offset, size = struct.unpack_from("<2I", head, PROFILE)
    if kind == LINKED:
        return Colours(linked=True)
    file.seek(START + offset)
    return Colours(icc=file.read(min(size, MOST_BYTES)))
