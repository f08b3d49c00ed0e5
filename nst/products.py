"""What is made of a finished run to look at: plot, report, thumbnail, animation."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nst import place
from nst.cost_log import CostLog
from nst.encode import on_white
from nst.jobs import Job
from nst.pictures import resize
from nst.step import Step

THUMBNAIL_SIDE = 400  # pixels


def make(
    folder: Path, job: Job, found: dict[str, Any], log: CostLog, last: Step
) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents of the files of a finished run.

    found: what its manifest is to hold. last: its last step. The frames are read from the folder.
    """
    from nst import plot, report, thumbnails  # late: they need libraries that nothing else does

    yield place.PLOT, plot.png(log.curves())
    result = on_white(resize(last.image, job.size), job.alpha)
    yield place.THUMBNAIL, thumbnails.jpeg(result, THUMBNAIL_SIDE)
    before = frames(folder, last.epochs - 1)
    yield place.REPORT, report.page(folder, job, found, log, result, before)


def animate(folder: Path, picture: Path, epochs: int, target: Path) -> None:
    """Make the animation of a finished run out of its frames and its result; raises OSError."""
    from nst import animation

    animation.write([*frames(folder, epochs - 1).values(), picture], target)


def with_link(page: bytes, name: str) -> bytes:
    """A report with a link to one more file of its folder."""
    more = b"<!--more-->"
    return page.replace(more, f', <a href="{name}">{name}</a>'.encode() + more, 1)


def frames(folder: Path, most: int | None = None) -> dict[int, Path]:
    """The frames in a folder by iteration, in order. most: the last iteration that is wanted."""
    found = {}
    for path in folder.glob(place.FRAMES):
        number = path.stem.removeprefix("frame_")
        if number.isdecimal() and (most is None or int(number) <= most):
            found[int(number)] = path
    return dict(sorted(found.items()))
