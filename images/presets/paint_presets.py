"""Make the sheets of docs/presets.md: six pairs in every one of SHEETS, or in those that are named.

The photos and the paintings that are not in images/ come from ``benchmarks/pictures.py``, to be run
before. All are painted at the size of a sheet, whatever size the preset has.
"""

import sys
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
MORE = ROOT / "benchmarks/.pictures"
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import command  # noqa: E402

SHEETS = {  # options of each
    "classic": (),
    "fast": ("--preset", "fast"),
    "painting": ("--preset", "painting"),
    "portrait": ("--preset", "portrait"),
    "neighbours": ("--style_loss", "neighbours"),
}
SIDE = 300  # pixels of a picture
COLUMNS = 3
THUMB = 72  # pixels of content and style, in its corners
PAIRS = (
    (ROOT / "images/temple.jpg", ROOT / "images/starlit_harbour.jpg"),
    (MORE / "portrait_astronaut.png", ROOT / "images/watercolour_garden.jpg"),
    (MORE / "still_life_coffee.png", ROOT / "images/mosaic_sun.jpg"),
    (ROOT / "images/temple.jpg", MORE / "style_great_wave.png"),
    (MORE / "portrait_astronaut.png", MORE / "style_starry_night.png"),
    (MORE / "still_life_coffee.png", MORE / "style_kandinsky.png"),
)


def paint(sheet: str, content: Path, style: Path, folder: Path) -> Image.Image:
    """The picture of a pair, cut to 3 : 2, with its content and its style in the corners."""
    options = (*SHEETS[sheet], "--image_size", str(SIDE))
    path, _ = command.paint(content, style, options, folder)
    painted = _cut(path, (SIDE, SIDE * 2 // 3))
    for left, picture in ((0, content), (SIDE - THUMB, style)):
        top = painted.height - THUMB * 2 // 3
        painted.paste(_cut(picture, (THUMB, THUMB * 2 // 3)), (left, top))
    return painted


def _cut(path: Path, size: tuple[int, int]) -> Image.Image:
    """The middle of a picture, as large as it gets, resized; of an upright one the upper middle."""
    with Image.open(path) as image:
        rgb = image.convert("RGB")
    width = min(rgb.width, rgb.height * size[0] // size[1])
    height = min(rgb.height, rgb.width * size[1] // size[0])
    left, top = (rgb.width - width) // 2, (rgb.height - height) // 4
    box = (left, top, left + width, top + height)
    return rgb.resize(size, Image.Resampling.LANCZOS, box)


def main() -> None:
    """Make the sheets that are named, or all."""
    for name in sys.argv[1:] or SHEETS:
        pictures = []
        for content, style in PAIRS:
            with tempfile.TemporaryDirectory() as made:
                pictures.append(paint(name, content, style, Path(made)))
        width, height = pictures[0].size
        sheet = Image.new("RGB", (COLUMNS * width, len(pictures) // COLUMNS * height))
        for number, picture in enumerate(pictures):
            row, column = divmod(number, COLUMNS)
            sheet.paste(picture, (column * width, row * height))
        sheet.save(HERE / f"{name}.jpg", quality=88)


if __name__ == "__main__":
    main()
