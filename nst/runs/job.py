"""What one run works on: its settings and its pictures, read and checked before any computing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nst.engine.optimizers import optimizer_class
from nst.errors import UsageError
from nst.options import START_WORDS
from nst.pictures.find import find_picture
from nst.pictures.fit import crop_to_shape, read_fitted
from nst.pictures.mask_files import MaskFinder
from nst.pictures.metadata import Metadata, read_metadata
from nst.pictures.read import Picture, hash_picture, read_picture
from nst.pictures.uncover import uncover
from nst.pictures.write import check_side
from nst.runs.checks import check_counts, check_settings, is_mixed
from nst.runs.job_masks import check_regions, read_masks, visible_part, with_transparency
from nst.settings import Settings

MASKS = ("content_mask", "style_mask")
STYLE_SETTINGS = (
    "style_weights",
    *MASKS,
    "mask_colors",
    "preserve_colors",
)  # without effect where beta is 0
CONTENT_COST_SETTINGS = ("alpha", "content_layers")  # likewise where positions are matched

Size = tuple[int, int]  # (height, width) in pixels


@dataclass(frozen=True)
class Job:
    """One picture to make.

    content: None for a texture. styles: none where there is no style cost and no start from it.
    start: the picture of ``--init FILE``, None for its words. content_mask, style_mask: the masks
    as they were read; content_masks, style_masks: (H, W) float32, 0..1, of the size they mask, one
    for each style, or none. visible: likewise, how much of the content is; None for an opaque one.
    metadata: of the photo, if they are to be kept.
    """

    settings: Settings
    content: Picture | None
    styles: tuple[Picture, ...]
    start: Picture | None
    content_mask: tuple[Picture, ...] = ()
    style_mask: tuple[Picture, ...] = ()
    content_masks: tuple[np.ndarray, ...] = ()
    style_masks: tuple[np.ndarray, ...] = ()
    visible: np.ndarray | None = None
    metadata: Metadata | None = None

    @property
    def size(self) -> Size:
        """(height, width) of the picture to make, in pixels."""
        return picture_size(self.settings, self.content)

    @property
    def style_sizes(self) -> tuple[float, ...]:
        """The long side requested for each style; its file may be smaller."""
        return tuple(
            requested_style_side(self.settings, self.size, style.file_size) for style in self.styles
        )

    @property
    def stems(self) -> tuple[str, str]:
        """The stems of content and styles, after which the run folder is named."""
        content = self.content.path if self.content else None
        return job_stems(content, [style.path for style in self.styles])

    @property
    def names(self) -> tuple[str | None, list[str]]:
        """The names of the files of content and styles."""
        content = self.content.path.name if self.content else None
        return content, [style.path.name for style in self.styles]

    @property
    def transparency(self) -> np.ndarray | None:
        """The alpha channel of the result, (H, W) uint8: that of the content, if it is kept."""
        return self.content.transparency if self.content and self.visible is not None else None

    def seen(self, picture: Picture) -> np.ndarray:
        """What the network is to see of content or style, (H, W, 3) uint8.

        White below its transparent parts only if they are ignored.
        """
        if picture.transparency is None or self.settings.transparent == "ignore":
            return picture.rgb
        return uncover(picture.rgb, picture.transparency)

    @property
    def pictures(self) -> dict[str, list[Picture]]:
        """Every picture that was read, by its role."""
        return {
            "content": [self.content] if self.content else [],
            "style": list(self.styles),
            "start": [self.start] if self.start else [],
            "content_mask": list(self.content_mask),
            "style_mask": list(self.style_mask),
        }


def hash_job(settings: Settings) -> Job:
    """Return the job of ``settings`` with the hashes of its pictures and no pixels.

    Raises PictureError or UsageError.
    """
    pictures = {role: tuple(map(hash_picture, paths)) for role, paths in _find(settings).items()}
    return Job(
        settings,
        content=next(iter(pictures["content"]), None),
        styles=pictures["style"],
        start=next(iter(pictures["start"]), None),
        content_mask=pictures["content_mask"],
        style_mask=pictures["style_mask"],
        metadata=_metadata(settings, pictures["content"]),
    )


def read_job(settings: Settings) -> Job:
    """Read the pictures and check the output folder, making nothing.

    Raises PictureError, UsageError or OutputError.
    """
    check_settings(settings)
    paths = _find(settings)
    content = None
    if paths["content"]:
        content = read_fitted(paths["content"][0], settings)
    size = picture_size(settings, content)
    check_side(settings.output_format, size)
    style_side = style_long_side(settings, size)
    styles = tuple(read_picture(path, style_side, settings.style_scale) for path in paths["style"])
    start = read_picture(paths["start"][0], max(size)) if paths["start"] else None
    names = [style.path.name for style in styles]
    cropped = settings.exact_size is not None and settings.fit == "crop"
    if start and cropped:
        start = crop_to_shape(start, size)
    content_mask, content_masks = read_masks(
        "content_mask",
        paths["content_mask"],
        [(content, size)] * len(styles),
        names,
        settings.named_regions,
        cropped,
    )
    style_mask, style_masks = read_masks(
        "style_mask",
        paths["style_mask"],
        [(style, _size(style)) for style in styles],
        names,
        settings.named_regions,
    )
    visible = None
    if settings.transparent == "keep":
        if content is not None and (visible := visible_part(content, "content")) is not None:
            check_regions(content, visible, content_masks)
        if settings.beta:
            styles, style_masks = with_transparency(styles, style_masks)
    metadata = _metadata(settings, (content,) if content else ())
    return Job(
        settings,
        content,
        styles,
        start,
        content_mask,
        style_mask,
        content_masks,
        style_masks,
        visible,
        metadata,
    )


def _metadata(settings: Settings, contents: Sequence[Picture]) -> Metadata | None:
    """The metadata that the result is to have: of the photo, if they are to be kept."""
    return read_metadata(contents[0].path) if settings.keep_metadata and contents else None


def picture_size(settings: Settings, content: Picture | None) -> Size:
    """(height, width) of the picture to make from ``content``, None for a texture."""
    if content is not None:
        return _size(content)
    if settings.texture_size is None:
        raise UsageError("content_image_filename: give one, or --alpha 0 and a WIDTHxHEIGHT")
    return settings.texture_size


def _size(picture: Picture) -> Size:
    height, width = picture.rgb.shape[:2]
    return height, width


def job_stems(content: Path | None, styles: Sequence[Path]) -> tuple[str, str]:
    """The stems of content and styles, after which the run folder is named."""
    style_stems = "+".join(style.stem for style in styles)
    return content.stem if content else "texture", style_stems or "reconstruction"


def style_long_side(settings: Settings, size: Size) -> int | None:
    """The long side to read a style at, before ``style_scale``; None for that of its file.

    Strokes keep their size in the result, of ``size``, if both have the same.
    """
    if settings.style_size is None:
        return max(size)
    return settings.style_size if isinstance(settings.style_size, int) else None


def requested_style_side(settings: Settings, size: Size, file_size: tuple[int, int]) -> float:
    """The long side requested for a style, of a file of (width, height), for a picture."""
    return settings.style_scale * (style_long_side(settings, size) or max(file_size))


def describe_job(job: Job) -> list[str]:
    """Lines for the user: the pictures, and settings that have no effect."""
    settings, lines = job.settings, []
    if job.content is None:
        height, width = job.size
        lines.append(f"Texture   {width} x {height}, without a content picture")
    else:
        note = "" if settings.alpha else "; alpha is 0: for size and start only"
        lines.append(f"Content   {_described(job.content)}{note}")
    shares = settings.style_shares(len(job.styles)) if job.styles else ()
    for style, share in zip(job.styles, shares):
        weight = f", weight {share:.3g}" if len(job.styles) > 1 else ""
        note = "" if settings.beta else "; beta is 0: for the start only"
        lines.append(f"Style     {_described(style)}{weight}{note}")
    if not job.styles:
        lines.append("Style     none, as beta is 0: the content is reconstructed")
    lines += [f"Metadata  {line}" for line in _metadata_remarks(job)]
    lines += [f"Mask      {_described(mask)}" for mask in job.content_mask + job.style_mask]
    changed = settings.changed()
    optimizer = optimizer_class(settings.optimizer)
    if "learning_rate" in changed and not optimizer.uses_learning_rate:
        lines.append(
            f"          learning_rate has no effect: {settings.optimizer} finds its own step size"
        )
    if not settings.beta and (idle := [name for name in STYLE_SETTINGS if name in changed]):
        lines.append(f"          {', '.join(idle)}: no effect, as beta is 0")
    idle = [name for name in CONTENT_COST_SETTINGS if name in changed]
    if settings.loss.matches and idle:
        reason = f"{settings.style_loss} has no content cost"
        lines.append(f"          {', '.join(idle)}: no effect, as {reason}")
    return lines


def job_remarks(job: Job) -> list[str]:
    """Lines for the user: what had to be guessed or left out of the pictures of a job."""
    lines = [
        f"{picture.path}: {note}"
        for pictures in job.pictures.values()
        for picture in pictures
        for note in picture.notes
    ]
    return lines + _metadata_remarks(job)


def _metadata_remarks(job: Job) -> list[str]:
    """Lines for the user: which metadata are kept."""
    if job.content and job.metadata:
        return [f"{job.content.path}: {note}" for note in job.metadata.notes]
    return []


def _described(picture: Picture) -> str:
    height, width = picture.rgb.shape[:2]
    description = f"{picture.path}, {width} x {height}"
    if picture.file_size != (width, height):
        description += " from {} x {}".format(*picture.file_size)
    return "; ".join((description, *picture.notes))


def _find(settings: Settings) -> dict[str, list[Path]]:
    """The files of one picture by their role; raises PictureError or UsageError."""
    contents = settings.content_image_filename or ()
    if len(contents) > 1:
        raise UsageError(f"content_image_filename: {len(contents)} contents for one picture")
    styles: tuple[str, ...] = ()
    if settings.beta or settings.init == "style":
        styles = settings.style_image_filename
        if len(styles) > 1 and not is_mixed(settings):
            raise UsageError(
                f"style_image_filename: {len(styles)} styles for one picture; mix them with "
                "--style_weights, or give each a --content_mask"
            )
        check_counts(settings, len(styles))
    start = [] if settings.init in START_WORDS else [settings.init]
    start_setting = f"init ({', '.join(START_WORDS)}, or a file)"
    paths = {
        "content": [find_picture(name, "content_image_filename") for name in contents],
        "style": [find_picture(name, "style_image_filename") for name in styles],
        "start": [find_picture(name, start_setting) for name in start],
    }
    content = next(iter(paths["content"]), None)
    finder = MaskFinder(Path(settings.output_dir))
    return paths | find_masks(settings, finder, content, paths["style"])


def find_masks(
    settings: Settings, finder: MaskFinder, content: Path | None, styles: Sequence[Path]
) -> dict[str, list[Path]]:
    """The files of the masks of one picture, by setting; raises PictureError.


    None without a style cost, where they have no effect.
    """
    if not settings.beta:
        return {setting: [] for setting in MASKS}
    content_mask, style_mask = settings.content_mask or (), settings.style_mask or ()
    return {
        "content_mask": finder.find("content_mask", content_mask, [content] * len(content_mask)),
        "style_mask": finder.find("style_mask", style_mask, styles) if style_mask else [],
    }
