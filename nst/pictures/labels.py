"""A label picture, in which each colour is a region -> the regions of the styles.

As segmentation programs save them: palette indices, label numbers as grey levels, pure colours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

MOST_LABELS = 64
DARK = 24  # 0..255 in each channel: black, after JPEG
NOISE = 12.0  # distance in RGB within which colours are one, but for pictures without noise
RINGING = 60.0  # likewise, of a colour and one that is ten times as frequent
LEAST_AREA = 1e-3  # share of the pixels of a label, in a picture with noise or soft borders
LEAST_COVER = 0.9  # share of the pixels near a label: in photographs it is less
LEAST_COVER_OF_REST = 0.6  # likewise, without the largest label: in photographs on black, too
LABEL_NUMBERS = 32  # grey levels below are numbers of labels and not shades
VOID = 255  # label number of what is in no region
VOID_COLOUR = 224, 224, 192  # of VOID in the palette of Pascal VOC


@dataclass(frozen=True)
class Labels:
    """The labels of a picture, in ascending order.

    kind: what codes are: ``index`` of a palette, grey ``level``, or ``colour``, 0xRRGGBB.
    codes: (L,) int. colours: (L, 3), 0..255. areas: (L,) shares of the pixels.
    of_pixels: (H, W) int, the number of the label of each pixel.
    other: share of the pixels in none of the colours, which have the label of the nearest one.
    exact: whether the picture has neither noise nor soft borders.
    """

    kind: str
    codes: np.ndarray
    colours: np.ndarray
    areas: np.ndarray
    of_pixels: np.ndarray
    other: float
    exact: bool

    def name(self, label: int) -> str:
        """The name of a label for the user, as ``--mask_colors`` takes it."""
        code = int(self.codes[label])
        if self.kind == "level":
            return str(code)
        colour = "#{:02x}{:02x}{:02x}".format(*self.colours[label])
        return f"{code} ({colour})" if self.kind == "index" else colour

    def described(self) -> str:
        """All labels with their areas, the largest first, for the user."""
        order = np.argsort(-self.areas, kind="stable")
        shown = [f"{self.name(label)} {100 * self.areas[label]:.2g} %" for label in order[:8]]
        return ", ".join(shown) + (" and more" if len(order) > 8 else "")

    def is_background(self, label: int) -> bool:
        """Whether a label is black, or number 0: it may be no region."""
        if self.kind == "level" and self.exact:
            return bool(self.codes[label] == 0)
        is_first = self.kind == "index" and self.codes[label] == 0
        return bool(is_first or self.colours[label].max() <= (0 if self.exact else DARK))

    @cached_property
    def regions(self) -> list[int]:
        """The labels but for VOID."""
        void = np.zeros(len(self.codes), bool)
        if self.kind == "index":
            void = (self.codes == VOID) & (self.colours == VOID_COLOUR).all(axis=1)
        elif self.kind == "level" and are_numbers(self.codes):
            void = self.codes == VOID
        return np.flatnonzero(~void).tolist()

    def plane(self, labels: Sequence[int]) -> np.ndarray:
        """A mask of some labels, (H, W) uint8, 255 inside and 0 outside."""
        levels = np.zeros(len(self.codes), np.uint8)
        levels[list(labels)] = 255
        return levels[self.of_pixels]


def find_labels(
    colours: np.ndarray, numbers: np.ndarray | None, named: Sequence[tuple[str, int]] = ()
) -> Labels | None:
    """Find the labels of a picture; None if it has no flat colours, or a great many.

    colours: (H, W, 3) uint8. numbers: (H, W) palette indices or deep grey levels, or None. named:
    as of ``named_regions``: labels where the picture has them, in however thin lines.

    A colour that fills a block of 2 x 2 pixels is a label. Other pixels, those of soft borders and
    of the noise of JPEG, get the label of the nearest colour.
    """
    by_number = any(not name.startswith("#") for name, _ in named)
    kind, codes = _codes(colours, numbers, by_number)
    unique, first, inverse, counts = np.unique(
        codes, return_index=True, return_inverse=True, return_counts=True
    )
    inverse = inverse.reshape(codes.shape)
    flat = np.unique(inverse[_in_blocks(codes)])
    if not 0 < len(flat) <= 256 * MOST_LABELS:
        return None
    table = colours.reshape(-1, 3)[first].astype(np.int64)  # colour of each code
    is_deep = kind == "level" and numbers is not None
    exact = kind == "index" or is_deep or len(flat) == len(unique)
    if exact or (kind == "level" and are_numbers(unique)):
        exact = True
        thin = [_matches(name, kind, unique, table) for name, _ in named]
        flat = np.unique(np.concatenate([flat, *thin])).astype(np.int64)
    else:
        flat = _without_noise(flat, table, counts)
    if is_deep:
        table = np.repeat(unique.astype(np.int64)[:, np.newaxis], 3, axis=1)
    if not 0 < len(flat) <= MOST_LABELS:
        return None
    nearest, distance = _nearest(table, table[flat])
    nearest[flat] = np.arange(len(flat))
    distance[flat] = 0
    near, largest = counts[distance <= RINGING].sum(), counts.max()
    if near < LEAST_COVER * codes.size:
        return None
    if near - largest < LEAST_COVER_OF_REST * (codes.size - largest):
        return None
    return Labels(
        kind=kind,
        codes=unique[flat],
        colours=table[flat],
        areas=np.bincount(nearest, counts, len(flat)) / codes.size,
        of_pixels=nearest[inverse],
        other=float(counts[distance > (0 if exact else NOISE)].sum()) / codes.size,
        exact=exact,
    )


def _codes(
    colours: np.ndarray, numbers: np.ndarray | None, by_number: bool
) -> tuple[str, np.ndarray]:
    """The kind of the codes of a picture, and the code of each pixel.

    by_number: whether the user names palette indices. Otherwise those of a palette whose black is
    not the first have no meaning: a program chose them to save a picture in colours.
    """
    if numbers is not None and numbers.dtype != np.uint8:
        return "level", numbers
    if numbers is not None:
        black = numbers[~colours.any(axis=2)]
        if by_number or not black.any():
            return "index", numbers
    red, green, blue = np.moveaxis(colours, 2, 0)
    if np.array_equal(red, green) and np.array_equal(red, blue):
        return "level", red
    return "colour", red.astype(np.int64) << 16 | green.astype(np.int64) << 8 | blue


def are_numbers(levels: np.ndarray) -> bool:
    """Whether grey levels are numbers of labels and not shades."""
    numbers = levels[levels != VOID]
    return bool(len(numbers)) and 0 < numbers.max() < LABEL_NUMBERS


def _matches(name: str, kind: str, codes: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """The numbers of the codes that a name stands for, exactly."""
    if name.startswith("#"):
        return np.flatnonzero((colours == _rgb(name)).all(axis=1))
    return np.flatnonzero(codes == int(name)) if kind != "colour" else np.empty(0, np.int64)


def _rgb(name: str) -> np.ndarray:
    """(3,) of ``#rrggbb``."""
    return np.array([int(name[i : i + 2], 16) for i in (1, 3, 5)])


def _in_blocks(codes: np.ndarray) -> np.ndarray:
    """Whether each pixel is in a block of 2 x 2 (of fewer in a line of pixels) of one code."""
    inside = np.zeros(codes.shape, bool)
    height, width = (min(2, side) for side in codes.shape)
    rows, columns = codes.shape[0] - height + 1, codes.shape[1] - width + 1
    shifts = [(y, x) for y in range(height) for x in range(width)]
    same = np.ones((rows, columns), bool)
    for y, x in shifts:
        same &= codes[y : y + rows, x : x + columns] == codes[:rows, :columns]
    for y, x in shifts:
        inside[y : y + rows, x : x + columns] |= same
    return inside


def _without_noise(flat: np.ndarray, table: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The labels that are no shades of more frequent ones, in ascending order of their colours.

    The order is that of coarse shades first, which noise does not change.
    """
    kept: list[int] = []
    for label in flat[np.argsort(-counts[flat], kind="stable")]:
        distance = np.sqrt(((table[kept] - table[label]) ** 2).sum(axis=-1))
        is_noise = (distance <= NOISE) | (
            (distance <= RINGING) & (10 * counts[label] < counts[kept])
        )
        if counts[label] >= LEAST_AREA * counts.sum() and not is_noise.any():
            kept.append(int(label))
            if len(kept) > MOST_LABELS:
                break
    coarse = [(*((table[label] + 16) // 32), label) for label in kept]
    return np.array([label for *_, label in sorted(coarse)], int)


def _nearest(colours: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number of the nearest of (L, 3) labels to each of (N, 3) colours, and its distance."""
    nearest = np.empty(len(colours), np.int64)
    distance = np.empty(len(colours))
    for start in range(0, len(colours), 65536):  # to save memory
        part = slice(start, start + 65536)
        squares = ((colours[part, np.newaxis] - labels) ** 2).sum(axis=2)  # (n, L)
        nearest[part] = squares.argmin(axis=1)
        distance[part] = np.sqrt(squares.min(axis=1))
    return nearest, distance


def choose_regions(labels: Labels, styles: int) -> list[list[int]] | None:
    """The labels of each style: in ascending order, where they are as many as the styles.

    Or one more, of which the first is the background. None for another number of labels.
    """
    regions = labels.regions
    if len(regions) == styles + 1 and labels.is_background(regions[0]):
        regions = regions[1:]
    return [[label] for label in regions] if len(regions) == styles else None


def named_regions(
    labels: Labels, named: Sequence[tuple[str, int]], styles: int
) -> tuple[list[list[int]], list[str]]:
    """The labels of each style by their names, and the names that the picture lacks.

    named: (colour ``#rrggbb``, or palette index or grey level; number of its style, from 1).
    """
    regions: list[list[int]] = [[] for _ in range(styles)]
    missing = []
    for name, style in named:
        found = _named(labels, name)
        if not found:
            missing.append(name)
        regions[style - 1] += found
    return regions, missing


def _named(labels: Labels, name: str) -> list[int]:
    """The labels that a name stands for."""
    if labels.exact or not name.startswith("#"):
        return _matches(name, labels.kind, labels.codes, labels.colours).tolist()
    distance = np.sqrt(((labels.colours - _rgb(name)) ** 2).sum(axis=1))
    return [int(distance.argmin())] if distance.min() <= RINGING else []
