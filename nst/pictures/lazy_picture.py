"""What a reader of our own gives to ``nst.pictures.read``: an image file like one of Pillow's."""

from abc import abstractmethod
from typing import Any

from PIL import Image, ImageFile


class LazyPicture(ImageFile.ImageFile):
    """A picture whose size is known from its head, and whose pixels are decoded by ``load``.

    notes: for the user, what was guessed or left out.
    is_reducible: whether ``draft`` can choose fewer pixels.
    """

    notes: list[str]
    is_reducible = False
    _upright: tuple[int, int]  # (width, height) in pixels, turned upright
    _decoded = False

    def _open(self) -> None:
        self._size = self._upright
        self._mode = "RGB"  # until the pixels are there
        self.notes = []

    @abstractmethod
    def decode(self) -> Image.Image:
        """The pixels, turned upright: L, LA, RGB, RGBA, CMYK or LAB of 8 bits."""

    def load(self) -> Any:
        if not self._decoded:
            image = self.decode()
            self.im, self._mode, self._size = image.im, image.mode, image.size
            self._decoded = True
        return Image.Image.load(self)
