"""Paint the style pictures shipped with the project, entirely from numbers.

Usage: python images/paint_styles [NAME ...] [--output_dir DIR] [--size 1200]
"""

import argparse
import pathlib

import numpy as np
from PIL import Image

from mosaic_sun import mosaic_sun
from starlit_harbour import starlit_harbour
from watercolour_garden import watercolour_garden
from woodcut_wave import woodcut_wave

IMAGES_DIR = pathlib.Path(__file__).resolve().parents[1]
PAINTINGS = {
    "starlit_harbour": starlit_harbour,
    "woodcut_wave": woodcut_wave,
    "watercolour_garden": watercolour_garden,
    "mosaic_sun": mosaic_sun,
}


def main():
    """Paint the named pictures, or all of them."""
    parser = argparse.ArgumentParser(
        prog="python images/paint_styles", description=__doc__.splitlines()[0]
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PAINTINGS))
    parser.add_argument(
        "--output_dir",
        type=pathlib.Path,
        default=IMAGES_DIR,
        metavar="DIR",
        help="where the JPEGs go (default: the project's images/)",
    )
    parser.add_argument("--size", type=int, default=1200, help="width in pixels (default: 1200)")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(PAINTINGS)
    if unknown:
        parser.error(f"unknown painting: {', '.join(sorted(unknown))}")
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or PAINTINGS:
        picture = PAINTINGS[name](arguments.size, np.random.default_rng(2015))
        image = Image.fromarray(np.uint8(picture.clip(0, 1) * 255 + 0.5))
        image.save(arguments.output_dir / f"{name}.jpg", quality=88)


if __name__ == "__main__":
    main()
