"""A page of blind pairs: which of two results is the better painting?

Takes the pictures of the same names in two folders, as benchmarks/judge.py --recipe leaves them,
and writes one HTML page that needs nothing else and tells nothing of where a picture is from. The
order and the sides are shuffled by the seed. At the end the page counts the votes, and shows them
as JSON.
A name CONTENT__STYLE shows these two inputs, if they are in benchmarks/.pictures or images/.

    python benchmarks/blind_pairs.py FIRST SECOND [--seed 0] [--output pairs.html]
"""

import argparse
import base64
import io
import random
import sys
from pathlib import Path
from typing import Any

import jinja2
from common import ROOT
from PIL import Image

from nst.pages import render

INPUTS = (ROOT / "benchmarks/.pictures", ROOT / "images")
SUFFIXES = (".png", ".jpg", ".webp", ".tif")
SMALL = 240  # pixels, of content and style


def data_url(path: Path, height: int | None = None) -> str:
    """The picture without loss and without metadata, which would tell how it was made."""
    with Image.open(path) as image:
        picture = image.convert("RGB")
    if height:
        picture.thumbnail((4 * height, height))
    file = io.BytesIO()
    picture.save(file, "WEBP", lossless=not height, quality=80)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def input_url(stem: str) -> str | None:
    """Content or style by its name, small; None if it is not there."""
    paths = (folder / f"{stem}{suffix}" for folder in INPUTS for suffix in SUFFIXES)
    found = next((path for path in paths if path.exists()), None)
    return data_url(found, SMALL) if found else None


def pictures_of(folder: Path) -> dict[str, Path]:
    """The pictures of a folder by name without suffix."""
    return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix in SUFFIXES}


def make_data(folders: tuple[Path, Path], seed: int) -> dict[str, Any]:
    """What the page shows; raises ValueError if the folders have no name in common."""
    first, second = (pictures_of(folder) for folder in folders)
    names = sorted(set(first) & set(second))
    if not names:
        raise ValueError("the folders have no picture of the same name")
    for name in sorted(set(first) ^ set(second)):
        print(f"left out, in one folder only: {name}")
    shuffle = random.Random(seed)
    shuffle.shuffle(names)
    pairs = []
    for name in names:
        left = shuffle.randrange(2)
        images = [data_url(side[name]) for side in (first, second)]
        content, _, style = name.partition("__")
        pairs.append(
            {
                "name": name,
                "content": input_url(content),
                "style": input_url(style),
                "images": images[::-1] if left else images,
                "left": left,
            }
        )
    labels = [folder.resolve().name for folder in folders]
    if labels[0] == labels[1]:
        labels = [str(folder) for folder in folders]
    return {"seed": seed, "folders": labels, "pairs": pairs}


def page(data: dict[str, Any]) -> bytes:
    """The page, in the clothes of the program's own."""
    templates = (Path(render.__file__).parent / "templates", Path(__file__).parent)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("blind_pairs.html").render(data=data).encode(errors="replace")


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs=2, type=Path, metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=0, help="of the order and the sides")
    parser.add_argument("--output", type=Path, default=Path("pairs.html"), help="the page")
    options = parser.parse_args()
    try:
        data = make_data(tuple(options.folders), options.seed)
    except (OSError, ValueError) as error:
        sys.exit(f"blind_pairs: {error}")
    options.output.write_bytes(page(data))
    size = options.output.stat().st_size / 1e6
    print(f"{options.output}: {len(data['pairs'])} pairs, {size:.1f} MB")


if __name__ == "__main__":
    main()
