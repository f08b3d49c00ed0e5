"""Make the pictures at the top of README.md: what the bare command and ``painting`` make.

The picture of the report needs Chromium.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageSequence

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import command  # noqa: E402

GAP = 8  # pixels between photo and picture
PAGE = (960, 1270)  # pixels of the page that is shown, at twice the size of its picture
GIF_SIDE = 220


def paint(folder: Path, *options: str) -> Path:
    """Paint the shipped pictures by the command line; return the picture, in its run folder."""
    content, style = (ROOT / "images" / name for name in ("temple.jpg", "starlit_harbour.jpg"))
    return command.paint(content, style, options, folder)[0]


def beside(content: Path, picture: Path) -> Image.Image:
    """Photo and picture side by side, of the size of the picture."""
    with Image.open(content) as photo, Image.open(picture) as painted:
        width, height = painted.size
        sheet = Image.new("RGB", (2 * width + GAP, height), "white")
        sheet.paste(photo.convert("RGB").resize(painted.size, Image.Resampling.LANCZOS), (0, 0))
        sheet.paste(painted.convert("RGB"), (width + GAP, 0))
    return sheet


def save_small_gif(animation: Path, path: Path) -> None:
    """Save every frame, smaller."""
    with Image.open(animation) as gif:
        size = GIF_SIDE, round(GIF_SIDE * gif.height / gif.width)
        frames = [
            frame.convert("RGB").resize(size, Image.Resampling.LANCZOS)
            for frame in ImageSequence.Iterator(gif)
        ]
    times = [250] * (len(frames) - 1) + [1500]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=times, loop=0)


def save_page(page: Path, path: Path, folder: Path) -> None:
    """Save what a browser shows of a page."""
    browser = shutil.which("chromium")
    if browser is None:
        sys.exit("paint_front: install chromium")
    shot = folder / "page.png"
    size = "--window-size={},{}".format(*PAGE)
    arguments = ["--headless", "--no-sandbox", "--hide-scrollbars", size]
    subprocess.run([browser, *arguments, f"--screenshot={shot}", page.as_uri()], check=True)
    with Image.open(shot) as image:
        half = image.convert("RGB").resize((PAGE[0] // 2, PAGE[1] // 2), Image.Resampling.LANCZOS)
    half.save(path, quality=88)


def main() -> None:
    """Make all of them."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        picture = paint(folder / "bare", "--animation", "gif")
        sheet = beside(ROOT / "images/temple.jpg", picture)
        sheet.save(HERE / "before_after.jpg", quality=90)
        save_small_gif(picture.with_name("animation.gif"), HERE / "forming.gif")
        save_page(picture.with_name("report.html"), HERE / "report.jpg", folder)
        with Image.open(paint(folder / "painting", "--preset", "painting")) as image:
            image.convert("RGB").save(HERE / "painting.jpg", quality=90)


if __name__ == "__main__":
    main()
