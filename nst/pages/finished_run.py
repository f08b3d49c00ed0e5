"""What the pages need to know of a finished run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from nst.pictures.read import Picture
from nst.settings import Settings


@dataclass(frozen=True)
class FinishedRun:
    """A finished run, whose frames are in its folder.

    title: for the user. pictures: what was read, by role. result: RGB, of full size. manifest: the
    content of ``run.json``. curves: as ``CostLog.curves`` gives them. cost_at: J of an iteration,
    None if it is not known.
    """

    folder: Path
    settings: Settings
    title: str
    pictures: dict[str, list[Picture]]
    result: Image.Image
    manifest: dict[str, Any]
    curves: dict[str, Any]
    cost_at: Callable[[int], float | None]
