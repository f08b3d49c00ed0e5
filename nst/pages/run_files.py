"""The files made of a finished run: plot, thumbnail, report, animation."""

from collections.abc import Iterator
from pathlib import Path

from nst import layout
from nst.pages.finished_run import FinishedRun

THUMBNAIL_SIDE = 400  # pixels
MORE_LINKS = b"<!--more-->"  # where the report takes them


def make_files(run: FinishedRun) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents of the files of a finished run, without its animation."""
    from nst.pages import plot, report  # late: they need libraries that nothing else does
    from nst.pictures.thumbnails import encode_jpeg

    yield layout.PLOT, plot.encode_png(run.curves)
    yield layout.THUMBNAIL, encode_jpeg(run.result, THUMBNAIL_SIDE)
    yield layout.REPORT, report.render_report(run)


def write_animation(folder: Path, picture: Path, epochs: int, target: Path) -> None:
    """Make the animation of a finished run out of its frames and its result; raises OSError."""
    from nst.pages import animation

    animation.write([*layout.frames(folder, epochs - 1).values(), picture], target)


def add_link(report: bytes, name: str) -> bytes:
    """A report with a link to one more file of its folder."""
    return report.replace(MORE_LINKS, f', <a href="{name}">{name}</a>'.encode() + MORE_LINKS, 1)
