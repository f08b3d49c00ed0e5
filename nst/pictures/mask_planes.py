"""A picture file that is a mask, as people and programs save them -> how much each pixel counts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from nst.errors import PictureError
from nst.pictures.fit import middle_of_shape
from nst.pictures.labels import (
    VOID,
    Labels,
    are_numbers,
    choose_regions,
    find_labels,
    named_regions,
)
from nst.pictures.orientation import SIDEWAYS, UPRIGHT
from nst.pictures.read import Picture, read_numbers, read_picture, size_as_read
from nst.pictures.resize import resize

LEAST_MEAN = 1e-3  # of a mask: in one that is black nothing can be measured
LEAST_LEVEL = 26  # of 255, the brightest of a mask: darker ones are no shades but numbers
WHITE = 250  # of 255: what JPEG makes of white
DEEP_WHITES = 511, 1023, 4095, 16383  # of 9 to 14 bits, in files of 16
TINT = 24  # difference of channels, 0..255, of the noise of JPEG in a grey picture
LEAST_TINTED = 1e-3  # share of the pixels with more, of a picture in colours
TURNED_BACK = {  # orientation -> the operation that undoes it
    **UPRIGHT,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}

Named = Sequence[tuple[str, int]]  # as of ``labels.named_regions``


@dataclass(frozen=True)
class MaskFile:
    """A mask as it stands in its file, of any kind and size.

    picture: of the size in its file. colours: (H, W, 3) uint8, on black where it is transparent.
    numbers: palette indices or deep grey levels, as of ``read_numbers``. setting: the setting that
    names the file.
    """

    picture: Picture
    colours: np.ndarray
    numbers: np.ndarray | None
    setting: str

    @property
    def deep_level(self) -> int | None:
        """The highest level of a picture of more than 8 bits, None for others."""
        if self.numbers is None or self.numbers.dtype == np.uint8:
            return None
        return int(self.numbers.max())

    def refusal(self, reason: str) -> PictureError:
        """The error that names the file."""
        return PictureError(f"{self.picture.path}: {reason}")

    def noted(self, notes: Sequence[str], size: tuple[int, int]) -> Picture:
        """The picture with more notes, each once, and at the size that it is used at."""
        height, width = self.picture.rgb.shape[:2]
        used = size_as_read((width, height), max(size))
        small = Image.fromarray(self.picture.rgb).resize(used, reducing_gap=3.0)
        notes = tuple(dict.fromkeys((*self.picture.notes, *notes)))
        return replace(self.picture, rgb=np.asarray(small), transparency=None, notes=notes)


def open_mask(path: Path, setting: str) -> MaskFile:
    """Read a mask; raises PictureError, naming the file, if it is no complete picture."""
    picture = read_picture(path)
    colours, numbers = picture.rgb, read_numbers(path)
    if picture.transparency is not None:  # what was laid on white is laid on black
        hidden = 255 - picture.transparency
        colours = colours - np.minimum(colours, hidden[:, :, np.newaxis])
        numbers = None  # hidden pixels have numbers, too
    if numbers is not None and numbers.shape != colours.shape[:2]:
        numbers = None
    return MaskFile(picture, colours, numbers, setting)


# --- One style ------------------------------------------------------------------------------------


def mask_plane(mask: MaskFile) -> tuple[np.ndarray, list[str]]:
    """Return the mask of one style, (H, W) uint8, 255 where it counts, and notes for the user.

    Raises PictureError for a mask that would weigh next to nothing, and for one of several colours,
    of which it is not known which is the region.
    """
    alpha = mask.picture.transparency
    if alpha is not None and _has_one_colour(mask.colours, alpha):
        return _shades(mask, alpha, ["its transparency is the mask, as it is of one colour"])
    spread = mask.colours.max(axis=2) - mask.colours.min(axis=2)
    if (spread > TINT).mean() < LEAST_TINTED:
        return _grey_plane(mask)
    labels = find_labels(mask.colours, mask.numbers)
    if labels is not None and not all(map(labels.is_background, labels.regions)):
        return _coloured_plane(mask, labels)
    if alpha is not None:
        return _shades(mask, alpha, ["its transparency is the mask, and not its colours"])
    shades = np.rint(mask.colours.mean(axis=2, dtype=np.float32)).astype(np.uint8)
    return _checked(mask, shades, ["it is a picture in colours, of which the brightness counts"])


def _has_one_colour(colours: np.ndarray, alpha: np.ndarray) -> bool:
    """Whether all visible pixels have one colour. colours: (H, W, 3), on black by ``alpha``."""
    at = np.unravel_index(alpha.argmax(), alpha.shape)
    colour = colours[at].astype(np.float32) / alpha[at]
    off = np.abs(colours - colour * alpha[:, :, np.newaxis]).max()
    return bool(off <= 2)  # of rounding


def _grey_plane(mask: MaskFile) -> tuple[np.ndarray, list[str]]:
    """A mask in shades of grey: white counts, black does not."""
    highest = mask.deep_level
    if mask.numbers is None or highest is None or not (highest <= 255 or highest in DEEP_WHITES):
        shades = np.rint(mask.colours.mean(axis=2, dtype=np.float32)).astype(np.uint8)
        return _shades(mask, shades, [])
    white, notes = max(255, highest), []
    if highest > 1:
        bits = white.bit_length()
        notes = [f"its levels up to {highest}, in a deeper file, are of {bits} bits"]
    shades = np.rint(np.maximum(mask.numbers, 0) * (255 / white)).astype(np.uint8)
    return _shades(mask, shades, notes)


def _shades(mask: MaskFile, shades: np.ndarray, notes: list[str]) -> tuple[np.ndarray, list[str]]:
    """A mask of shades, (H, W) uint8; those of a 0/1 mask are made 0 and 255."""
    if shades.max() == 1:
        return 255 * shades, [*notes, "a 0/1 mask: its level 1 counts as white"]
    levels = np.flatnonzero(np.bincount(shades.ravel()))
    if levels[-1] == VOID and are_numbers(levels):
        raise mask.refusal(
            f"has the levels {', '.join(map(str, levels[:8]))}, as a label picture; name that of "
            f"the region, as in --mask_colors {levels[-2]}"
        )
    return _checked(mask, shades, notes)


def _coloured_plane(mask: MaskFile, labels: Labels) -> tuple[np.ndarray, list[str]]:
    """A mask in one colour on black, or of index 1 on index 0."""
    coloured = [label for label in labels.regions if not labels.is_background(label)]
    if len(coloured) != 1:
        raise mask.refusal(
            f"has {len(coloured)} colours for one style ({labels.described()}); name that of the "
            f"region, as in --mask_colors {_example(labels, coloured)}, or give a style for each"
        )
    name = labels.name(coloured[0])
    if labels.kind == "index":
        return labels.plane(coloured), [f"its colour {name} counts as white"]
    colour = labels.colours[coloured[0]].astype(np.float32)
    shares = mask.colours.astype(np.float32) @ (colour / (colour @ colour))  # 1 for the colour
    plane = np.rint(255 * np.clip(shares, 0, 1)).astype(np.uint8)
    return plane, [f"its colour {name} counts as white"]


def _example(labels: Labels, coloured: Sequence[int]) -> str:
    """A name as a user writes it in a shell."""
    name = labels.name(coloured[-1] if coloured else 0).split()[0]
    return f"'{name}'" if name.startswith("#") else name


def _checked(mask: MaskFile, shades: np.ndarray, notes: list[str]) -> tuple[np.ndarray, list[str]]:
    """A mask of shades; raises PictureError if the brightest would weigh next to nothing."""
    brightest, white = int(shades.max()), 255
    if brightest < WHITE and mask.deep_level and mask.deep_level > 255:
        brightest, white = mask.deep_level, 65535
    level = f"its brightest level is {brightest} of {white}"
    paint = f"paint white where --{mask.setting} applies"
    if brightest == 0:
        raise mask.refusal(f"the mask is black; {level}; {paint}")
    if brightest < LEAST_LEVEL / 255 * white:
        raise mask.refusal(
            f"the mask is almost black and would weigh nothing; {level}; {paint}, or if its levels "
            f"are numbers of labels, name that of the region, as in --mask_colors {brightest}"
        )
    if brightest < WHITE / 255 * white:
        share = brightest / white
        notes = [*notes, f"{level}: where it is brightest the style counts {share:.2g}"]
    return shades, notes


# --- Several styles -------------------------------------------------------------------------------


def region_planes(
    mask: MaskFile, styles: Sequence[str], named: Named = ()
) -> tuple[list[np.ndarray], list[str]]:
    """Return the regions of a label picture, (H, W) uint8, 0 or 255, one for each style, and notes.

    styles: their names. named: the colours of each; without any they are taken in ascending order.
    Raises PictureError for another number of colours than styles, and if a style has no region.
    """
    labels = find_labels(mask.colours, mask.numbers, named)
    if labels is None:
        raise mask.refusal(
            f"is no label picture, as it has too many colours; give --{mask.setting} one mask for "
            f"each of {len(styles)} styles, or a picture of flat colours"
        )
    notes = []
    if named:
        regions, missing = named_regions(labels, named, len(styles))
        for number, region in enumerate(regions, 1):
            if not region:
                names = ", ".join(name for name, style in named if style == number)
                raise mask.refusal(
                    f"has no {names}, the region of style {number}; its colours are "
                    f"{labels.described()}; change --mask_colors"
                )
        notes += [f"it has no {name}" for name in missing]
    else:
        chosen = choose_regions(labels, len(styles))
        if chosen is None:
            raise mask.refusal(
                f"has {len(labels.codes)} colours ({labels.described()}), for {len(styles)} "
                "styles; say which belong to which style, as in --mask_colors "
                f"{_example(labels, labels.regions)}=1, or give one mask for each"
            )
        regions = chosen
    notes.append(_assignment(labels, regions, styles))
    return [labels.plane(region) for region in regions], notes


def _assignment(labels: Labels, regions: Sequence[Sequence[int]], styles: Sequence[str]) -> str:
    """The line that tells which colour went to which style."""
    words = [
        f"{' and '.join(map(labels.name, region))} -> {style}"
        for region, style in zip(regions, styles)
    ]
    used = {label for region in regions for label in region}
    rest = [labels.name(label) for label in range(len(labels.codes)) if label not in used]
    text = "regions " + ", ".join(words)
    if rest:
        shown = ", ".join(rest[:8]) + (" and more" if len(rest) > 8 else "")
        text += f"; not painted: {shown}"
    if labels.other:
        text += f"; {100 * labels.other:.2g} % of its pixels, between these, went to the nearest"
    return text


# --- The shape ------------------------------------------------------------------------------------


def fit_plane(
    plane: np.ndarray,
    mask: MaskFile,
    picture: Picture | None,
    size: tuple[int, int],
    cropped: bool = False,
) -> tuple[np.ndarray, list[str]]:
    """Return a plane as a mask (H, W) float32, 0..1, of ``size``, and notes for the user.

    picture: what it masks, None for a texture; ``size`` is (height, width) of that as it was read.
    cropped: its middle, of the shape of ``size``, is what masks.
    Raises PictureError if almost nothing is left of it, and as ``_upright`` does.
    """
    height, width = size
    wanted = picture.file_size if picture else (width, height)
    image, notes = _upright(Image.fromarray(plane), mask, picture)
    if not _same_shape(image.size, wanted):
        (columns, rows), (wide, high) = image.size, wanted
        notes.append(f"it was stretched from the shape {columns} x {rows} to {wide} x {high}")
    if cropped:
        image = Image.fromarray(middle_of_shape(np.asarray(image), size))
    used = size_as_read(image.size, max(size))
    if image.size != used:
        image = image.resize(used, Image.Resampling.LANCZOS, reducing_gap=3.0)
    fitted = resize(np.asarray(image).astype(np.float32) / 255, size)
    if fitted.mean(dtype=np.float64) < LEAST_MEAN:
        share = 100 * float(plane.mean(dtype=np.float64)) / 255
        raise mask.refusal(
            f"a region covers {share:.2g} % of the picture, too little for a style; paint more of "
            f"it white, or leave that style out of --{mask.setting}"
        )
    return fitted, notes


def _upright(
    image: Image.Image, mask: MaskFile, picture: Picture | None
) -> tuple[Image.Image, list[str]]:
    """Return a mask turned as its picture, and notes, where one of two files is turned by EXIF.

    Programs that make masks see the pixels as they are stored, or drop the orientation. Raises
    PictureError for a mask that lies on its side if no file says which one.
    """
    if picture is None:
        return image, []
    wanted, of_picture, of_mask = picture.file_size, picture.orientation, mask.picture.orientation
    if _same_shape(image.size, wanted) or not _same_shape(image.size[::-1], wanted):
        hidden = of_picture not in SIDEWAYS or _same_shape(wanted, wanted[::-1])
        if of_mask == 1 != of_picture and hidden:  # the shape does not tell
            return image, ["its picture is turned by EXIF; the mask was taken to be upright"]
        return image, []
    if of_picture in SIDEWAYS and of_mask == 1:
        return image.transpose(UPRIGHT[of_picture]), ["it was turned as EXIF turns its picture"]
    if of_mask in SIDEWAYS and of_picture == 1:
        note = "it was not turned as its EXIF says, as its picture has no orientation"
        return image.transpose(TURNED_BACK[of_mask]), [note]
    (columns, rows), (wide, high) = image.size, wanted
    raise mask.refusal(
        f"lies on its side: {columns} x {rows}, for a picture of {wide} x {high}; turn it"
    )


def _same_shape(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two (width, height) have one aspect ratio, but for rounding to whole pixels."""
    ratio = one[0] * other[1] / (one[1] * other[0])
    return abs(ratio - 1) <= max(0.02, 1.5 / min(*one, *other))
