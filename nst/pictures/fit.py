"""The size that a content picture gets: a long side, or exactly WIDTHxHEIGHT; cropped, enlarged."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nst.errors import PictureError
from nst.pictures.read import Picture, peek_size, read_picture
from nst.pictures.resize import resize, scaled_size
from nst.settings import Settings

LEAST_CROP = 0.01  # part of a side; less is not worth a remark


@dataclass(frozen=True)
class Fit:
    """How a picture gets its size.

    factor: from the size in the file to that as it is read. size: (width, height) then, of which
    the middle is taken, or which is stretched.
    """

    factor: float
    size: tuple[int, int]


def fit(path: Path, file_size: tuple[int, int], settings: Settings) -> Fit:
    """Fit a content picture of ``file_size``, (width, height) upright, to the settings.

    Raises PictureError, naming ``path``, where it would have to be enlarged and may not be.
    """
    factor, exact = 1.0, settings.exact_size
    if settings.long_side is not None:
        factor = settings.long_side / max(file_size)
    elif exact:
        factors = [side / own for side, own in zip(exact[::-1], file_size)]
        factor = min(factors) if settings.fit == "inside" else max(factors)
    if factor > 1 and not settings.enlarge:
        if exact and settings.fit != "inside":
            width, height = file_size
            raise PictureError(
                f"{path}: has {width} x {height} pixels, too few for --image_size "
                f"{exact[1]}x{exact[0]}; add --enlarge, or make that smaller"
            )
        factor = 1.0
    if exact and settings.fit != "inside":
        return Fit(factor, exact[::-1])
    return Fit(factor, scaled_size(file_size, factor))


def read_fitted(path: Path, settings: Settings) -> Picture:
    """Read a content picture in the size of the result; raises PictureError."""
    fitted = fit(path, peek_size(path), settings)
    picture = read_picture(path, factor=fitted.factor)
    size = fitted.size[::-1]
    if picture.rgb.shape[:2] == size:
        return picture
    if settings.fit == "stretch":
        transparency = picture.transparency
        return replace(
            picture,
            rgb=resize(picture.rgb, size),
            transparency=None if transparency is None else resize(transparency, size),
        )
    left_out = [1 - after / before for after, before in zip(size, picture.rgb.shape)]
    side = "height" if left_out[0] > left_out[1] else "width"
    notes = picture.notes
    if max(left_out) > LEAST_CROP:
        notes += (f"cropped, {100 * max(left_out):.0f} % of its {side} are left out",)
    return replace(crop(picture, size), notes=notes)


def crop(picture: Picture, size: tuple[int, int]) -> Picture:
    """The middle of a picture, (height, width)."""
    transparency = picture.transparency
    return replace(
        picture,
        rgb=_middle(picture.rgb, size),
        transparency=None if transparency is None else _middle(transparency, size),
    )


def crop_to_shape(picture: Picture, size: tuple[int, int]) -> Picture:
    """The largest middle of a picture that has the aspect ratio of ``size``, (height, width).

    Of a mask in the shape of a photo, it is the part that is left of the photo.
    """
    return crop(picture, _largest_of_shape(picture.rgb, size))


def middle_of_shape(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Likewise of an array (H, W)."""
    return _middle(plane, _largest_of_shape(plane, size))


def _largest_of_shape(array: np.ndarray, size: tuple[int, int]) -> tuple[int, int]:
    return scaled_size(size, min(own / side for own, side in zip(array.shape, size)))


def _middle(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    top, left = ((own - side) // 2 for own, side in zip(array.shape, size))
    return np.ascontiguousarray(array[top : top + size[0], left : left + size[1]])
