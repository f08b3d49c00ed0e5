"""A picture file that is a mask, as people and programs save them -> how much each pixel counts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from nst.errors import PictureError
from nst.pictures.labels import (
    VOID,
    Labels,
    are_numbers,
    choose_regions,
    find_labels,
    named_regions,
)
from nst.pictures.read import (
    SIDEWAYS,
    UPRIGHT,
    Picture,
    read_numbers,
    read_picture,
    size_as_read,
)
from nst.pictures.resize import resize

LEAST_MEAN = 1e-3  # of a mask: in one that is black nothing can be measured
LEAST_LEVEL = 26  # of 255, the brightest of a mask: darker ones are no shades but numbers
WHITE = 250  # of 255: what JPEG makes of white
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
    if labels is not None:
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
    levels, is_deep = mask.numbers, mask.numbers is not None and mask.numbers.dtype != np.uint8
    if levels is None or not is_deep or levels.max() > 255 or levels.min() < 0:
        shades = np.rint(mask.colours.mean(axis=2, dtype=np.float32)).astype(np.uint8)
        return _shades(mask, shades, [])
    notes = []
    if levels.max() > 1:
        notes = [f"its levels up to {levels.max()}, in a deeper file, are of 8 bits: white is 255"]
    return _shades(mask, levels.astype(np.uint8), notes)


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
    is_deep = mask.numbers is not None and mask.numbers.dtype != np.uint8
    if is_deep and mask.numbers is not None and mask.numbers.max() > 255:
        brightest, white = int(mask.numbers.max()), max(65535, int(mask.numbers.max()))
    level = f"its brightest level is {brightest} of {white}"
    paint = f"paint white where --{mask.setting} applies"
    if brightest == 0:
        raise mask.refusal(f"the mask is black; {level}; {paint}")
    if brightest < LEAST_LEVEL / 255 * white:
        raise mask.refusal(
            f"the mask is almost black and would weigh nothing; {level}; {paint}, or name the "
            f"level, if it is the number of a label: --mask_colors {brightest}"
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
    plane: np.ndarray, mask: MaskFile, picture: Picture | None, size: tuple[int, int]
) -> tuple[np.ndarray, list[str]]:
    """Return a plane as a mask (H, W) float32, 0..1, of ``size``, and notes for the user.

    picture: what it masks, None for a texture; ``size`` is (height, width) of that as it was read.
    A mask that lies on its side, as only one of the two files says how it was held, is turned.
    Raises PictureError if almost nothing is left of it.
    """
    notes = []
    height, width = size
    wanted = picture.file_size if picture else (width, height)
    image = Image.fromarray(plane)
    if not _same_shape(image.size, wanted):
        operation = _turning(mask.picture, picture)
        if operation is not None and _same_shape(image.size[::-1], wanted):
            image = image.transpose(operation)
            notes.append("it was turned as its picture is turned by EXIF")
        else:
            notes.append(
                "its shape, {} x {}, is not that of its picture, {} x {}; it was stretched".format(
                    *image.size, *wanted
                )
            )
    elif picture and picture.orientation != mask.picture.orientation == 1:
        turns = picture.orientation not in SIDEWAYS or _same_shape(wanted, wanted[::-1])
        if picture.orientation in UPRIGHT and turns:
            notes.append("its picture is turned by EXIF; the mask was taken to be upright")
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


def _same_shape(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two (width, height) have one aspect ratio, but for rounding to whole pixels."""
    ratio = one[0] * other[1] / (one[1] * other[0])
    return abs(ratio - 1) <= max(0.02, 1.5 / min(*one, *other))


def _turning(mask: Picture, picture: Picture | None) -> Image.Transpose | None:
    """What turns a mask as its picture, where one file says how it was held and one does not."""
    if picture is None:
        return None
    if picture.orientation in SIDEWAYS and mask.orientation not in SIDEWAYS:
        return UPRIGHT[picture.orientation]
    if mask.orientation in SIDEWAYS and picture.orientation not in SIDEWAYS:
        return TURNED_BACK[mask.orientation]
    return None
