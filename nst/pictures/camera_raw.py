"""Camera RAW files: told by their first bytes, their tags or their names; developed by rawpy."""

from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, ImageFile

from nst.errors import PictureError
from nst.pictures.lazy_picture import LazyPicture
from nst.pictures.missing_package import OPTIONAL, missing_package

EXTENSIONS = frozenset(
    f".{name}"
    for names in (
        "3fr arw bay cap cr2 cr3 crw dcr dcs dng drf eip erf fff gpr iiq k25 kdc mdc mef mos",
        "mrw nef nrw orf pef ptx raf rw2 rwl rwz sr2 srf srw sti x3f",
    )
    for name in names.split()
)
_MAGICS = (  # (position, bytes)
    (0, b"FUJIFILMCCD-RAW"),
    (0, b"IIRO"),  # Olympus
    (0, b"IIRS"),
    (0, b"MMOR"),
    (0, b"IIU\0"),  # Panasonic, Leica
    (0, b"\0MRM"),  # Minolta
    (0, b"FOVb"),  # Sigma
    (0, b"ARRI"),
    (0, b"II\x1a\0\0\0HEAPCCDR"),  # Canon's CRW
    (4, b"ftypcrx "),  # Canon's CR3
    (8, b"CR"),  # Canon's CR2, behind the head of a TIFF
    (8, b"IIII"),  # Phase One, likewise
    (8, b"MMMM"),
)


def is_camera_raw(path: Path, head: bytes, is_tiff: bool) -> bool:
    """Whether the first 16 bytes of a file, or its name if it is a TIFF, tell a RAW file."""
    if is_tiff and path.suffix.lower() in EXTENSIONS:
        return True
    return any(
        head[position : position + len(magic)] == magic and (position != 8 or is_tiff)
        for position, magic in _MAGICS
    )


def open_camera_raw(path: Path, file: BinaryIO) -> ImageFile.ImageFile:
    """Open a RAW file; PictureError where rawpy is not installed, and for what it cannot read."""
    try:
        import rawpy
    except ImportError:
        raise missing_package(path, "a camera RAW file", OPTIONAL, "TIFF or JPEG") from None
    raw = rawpy.RawPy()
    try:
        file.seek(0)
        raw.open_buffer(file)
        return _RawPicture(path, file, raw)
    except rawpy.LibRawError as error:
        raise _refusal(path, error) from None


def _refusal(path: Path, error: Exception) -> PictureError:
    words = error.args[0] if error.args else error
    reason = words.decode(errors="replace") if isinstance(words, bytes) else str(words)
    return PictureError(
        f"{path}: is a camera RAW file that LibRaw cannot develop ({reason}); save it as TIFF or "
        "JPEG"
    )


class _RawPicture(LazyPicture):
    """A RAW file, developed with the white balance of the camera, in sRGB."""

    format = "RAW"

    def __init__(self, path: Path, file: BinaryIO, raw: Any) -> None:
        self._path, self._raw = path, raw
        self._half = False
        sizes = raw.sizes
        width, height = sizes.iwidth, sizes.iheight
        self._upright = (height, width) if sizes.flip in (5, 6) else (width, height)
        super().__init__(file)
        self.notes.append("a camera RAW file, developed with the white balance of the camera")

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> None:
        """Take a pixel of each 2 x 2 cell of the sensor if these are enough for ``size``."""
        self._half = size is not None and all(
            2 * want <= have for want, have in zip(size, self.size)
        )

    def decode(self) -> Image.Image:
        import rawpy

        try:
            self._raw.unpack()
            rgb = self._raw.postprocess(use_camera_wb=True, half_size=self._half)
        except rawpy.LibRawError as error:
            raise _refusal(self._path, error) from None
        finally:
            self._raw.close()
        return Image.fromarray(rgb)
