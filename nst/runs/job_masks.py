"""The masks of one picture: of its settings, and of the transparency of its pictures."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from nst.errors import PictureError
from nst.pictures.mask_planes import (
    LEAST_MEAN,
    Named,
    fit_plane,
    mask_plane,
    open_mask,
    region_planes,
)
from nst.pictures.read import Picture

Size = tuple[int, int]  # (height, width) in pixels
Masks = tuple[np.ndarray, ...]  # (H, W) float32, 0..1, each


def read_masks(
    setting: str,
    paths: Sequence[Path],
    masked: Sequence[tuple[Picture | None, Size]],
    styles: Sequence[str],
    named: Named,
    cropped: bool = False,
) -> tuple[tuple[Picture, ...], Masks]:
    """Read the masks of a setting, one for each style; raises PictureError.

    paths: one for each style, or one label picture. masked: the picture that each masks, None for
    a texture, and its size. styles: their names. named: as of ``region_planes``. cropped: the
    middle of each, as that of the picture is.
    """
    if not paths:
        return (), ()
    pictures, masks = [], []
    if len(paths) < len(styles) or (named and len(paths) == 1):
        file = open_mask(paths[0], setting)
        planes, notes = region_planes(file, styles, named)
        for plane, (picture, size) in zip(planes, masked):
            mask, more = fit_plane(plane, file, picture, size, cropped)
            masks.append(mask)
            notes += more
        return (file.noted(notes, masked[0][1]),), tuple(masks)
    for path, (picture, size) in zip(paths, masked):
        file = open_mask(path, setting)
        plane, notes = mask_plane(file)
        mask, more = fit_plane(plane, file, picture, size, cropped)
        masks.append(mask)
        pictures.append(file.noted([*notes, *more], size))
    return tuple(pictures), tuple(masks)


def visible_part(picture: Picture, what: str) -> np.ndarray | None:
    """The transparency of a picture as a mask (H, W) float32, 0..1; None for an opaque picture.

    what: the word for its part in the job. Raises PictureError if almost nothing is visible.
    """
    if picture.transparency is None:
        return None
    visible = picture.transparency.astype(np.float32) / 255
    if visible.mean(dtype=np.float64) < LEAST_MEAN:
        raise PictureError(
            f"{picture.path}: almost all of this {what} is transparent; give another, or "
            "--transparent ignore"
        )
    return visible


def with_transparency(styles: Sequence[Picture], masks: Masks) -> tuple[tuple[Picture, ...], Masks]:
    """Return the styles, with notes, and their masks without the transparent parts.

    masks: of the settings, one for each style or none. No masks where no style needs one.
    """
    visible = [visible_part(style, "style") for style in styles]
    if all(part is None for part in visible):
        return tuple(styles), masks
    noted, combined = [], []
    for number, (style, part) in enumerate(zip(styles, visible)):
        mask = masks[number] if masks else np.ones(style.rgb.shape[:2], np.float32)
        if part is not None:
            # The smaller of both, so that a mask that repeats the transparency changes nothing.
            mask = np.minimum(mask, part)
            hidden = 100 * (1 - float(part.mean(dtype=np.float64)))
            note = f"{hidden:.2g} % of it is transparent, from which no style is taken"
            style = replace(style, notes=(*style.notes, note))
            _check_rest(mask, style, "style_mask")
        noted.append(style)
        combined.append(mask)
    return tuple(noted), tuple(combined)


def check_regions(content: Picture, visible: np.ndarray, masks: Masks) -> None:
    """Raise PictureError for a region of ``content_mask`` of which almost nothing is visible."""
    for mask in masks:
        _check_rest(np.minimum(mask, visible), content, "content_mask")


def _check_rest(mask: np.ndarray, picture: Picture, setting: str) -> None:
    if mask.mean(dtype=np.float64) < LEAST_MEAN:
        raise PictureError(
            f"{picture.path}: is transparent where a --{setting} applies; change that, or give "
            "--transparent ignore"
        )
