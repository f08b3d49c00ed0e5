"""JPEG 2000, decoded at a half, a quarter, ... of its size where that is enough."""

from typing import Any, BinaryIO

from PIL import ImageFile, Jpeg2KImagePlugin

CODESTREAM = b"\xff\x4f\xff\x51"
CONTAINER = b"\0\0\0\x0cjP  \r\n\x87\n"
REDUCED_FROM = 2**24  # pixels; smaller ones are decoded whole, as wavelets alias a little
HEAD_BYTES = 2**16  # that hold the main header, but for files with large boxes before it
_STYLE = b"\xff\x52"  # the marker of the coding style


def is_jpeg2000(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a JPEG 2000."""
    return head.startswith((CODESTREAM, CONTAINER))


class Jpeg2000Picture(Jpeg2KImagePlugin.Jpeg2KImageFile):
    """A JPEG 2000 whose ``draft`` reduces a large one by powers of two."""

    def __init__(self, file: BinaryIO) -> None:
        self._halvings = _halvings(file)
        super().__init__(file)

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> Any:
        ratio = 1 if size is None else min(have // want for have, want in zip(self.size, size))
        reduce = min(self._halvings, max(1, ratio).bit_length() - 1)
        if reduce and self.tile and self.width * self.height >= REDUCED_FROM:
            # As the decoder counts: rounded up at each half.
            self._size = tuple(-(-side // 2**reduce) for side in self.size)  # type: ignore[assignment]
            codec, _, offset, arguments = self.tile[0]
            assert isinstance(arguments, tuple)
            arguments = (arguments[0], reduce, *arguments[2:])
            self.tile = [ImageFile._Tile(codec, (0, 0, *self.size), offset, arguments)]


def _halvings(file: BinaryIO) -> int:
    """How often a file can be halved: its number of wavelet decompositions; 0 if not known."""
    head = file.read(HEAD_BYTES)
    file.seek(0)
    start = head.find(CODESTREAM)
    at = head.find(_STYLE, start) if start >= 0 else -1
    return head[at + 9] if 0 <= at < len(head) - 9 else 0
