"""What the benchmarks share: pictures, machine and versions, contact sheets, reports."""

import json
import logging
import os
import platform
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("NST_OFFLINE", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from PIL import Image, ImageDraw, ImageFont  # noqa: E402

from nst.engine.step import Step  # noqa: E402
from nst.pictures.find import find_picture  # noqa: E402
from nst.pictures.read import read_picture  # noqa: E402
from nst.pictures.resize import resize, scaled_size  # noqa: E402
from nst.pictures.write import to_pixels  # noqa: E402

logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of tracing

PAIRS = (
    ("temple.jpg", "starlit_harbour.jpg"),
    ("temple.jpg", "woodcut_wave.jpg"),
    ("temple.jpg", "mosaic_sun.jpg"),
)
MARGIN = 6  # pixels between the pictures of a sheet
LETTERS = 14  # pixels


def enlarged(name: str, long_side: int) -> np.ndarray:
    """A picture file, or one of images/, at any long side: (H, W, 3) float32."""
    rgb = read_picture(find_picture(name, "pairs")).rgb
    return resize(rgb, scaled_size(rgb.shape, long_side / max(rgb.shape))).astype(np.float32)


def seconds(work: Callable, repeats: int) -> float:
    """Median seconds of a call, after two to warm up."""
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])


def pairs(names: Sequence[str]) -> Sequence[tuple[str, str]]:
    """Content and style files, in turn; the shipped pairs if there are none."""
    if len(names) % 2:
        sys.exit(f"--pairs: {names[-1]} has no style")
    return list(zip(names[::2], names[1::2])) or PAIRS


def last(steps: Iterator[Step]) -> Step:
    """The last step of a run; the others are not kept."""
    return deque(steps, maxlen=1)[0]


def machine() -> dict[str, Any]:
    """Where numbers were measured."""
    import tensorflow as tf

    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "versions": {"tensorflow": tf.__version__, "python": platform.python_version()},
    }


def report(facts: dict[str, Any], path: str | None) -> None:
    """Write the numbers as JSON, if a path is given."""
    if path:
        Path(path).write_text(json.dumps(facts, indent=2))


def save_sheet(
    rows: Sequence[Sequence[tuple[str, np.ndarray]]], path: Path, height: int | None = None
) -> None:
    """Save rows of (text, picture (H, W, 3)) as one picture, each text above its picture."""
    pictures = [[(text, Image.fromarray(to_pixels(rgb))) for text, rgb in row] for row in rows]
    if height:
        pictures = [
            [(text, p.resize((round(p.width * height / p.height), height))) for text, p in row]
            for row in pictures
        ]
    cell = [
        max(getattr(p, side) for row in pictures for _, p in row) for side in ("width", "height")
    ]
    step = cell[0] + MARGIN, cell[1] + MARGIN + 2 * LETTERS
    columns = max(map(len, pictures))
    sheet = Image.new("RGB", (MARGIN + columns * step[0], MARGIN + len(rows) * step[1]), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(LETTERS)
    for number, row in enumerate(pictures):
        for column, (text, picture) in enumerate(row):
            left, top = MARGIN + column * step[0], MARGIN + number * step[1]
            draw.text((left, top), text, "black", font)
            sheet.paste(picture, (left, top + LETTERS + MARGIN))
    sheet.save(path)
