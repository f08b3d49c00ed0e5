"""Identity: a painting as content and as style; a perfect method gives it back.

Prints PSNR (dB) and SSIM of the result against the painting, from noise and from noisy content, for
each row of options of nst_main.py. Without --options the rows are one for each word of --style_loss
that the settings know, or the plain run.

    python benchmarks/identity.py [--paintings starlit_harbour.jpg ...] [--image_size 256]
        [--options NAME="--preset fast" ...] [--common="--preset fast"] [--json FILE]
"""

import argparse
import shlex
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from command import paint
from common import machine, report
from judge import read, recipe
from scipy import ndimage

import pictures
from nst.settings import Settings

STARTS = ("noise", "noisy_content")
WINDOW = 1.5  # standard deviation of the Gaussian window of SSIM, as Wang et al. 2004
STABLE = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal to noise ratio in dB."""
    error = np.mean((a.astype(np.float64) - b) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-12)))


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity of the luminance, 1 for the same picture."""
    x, y = (rgb.astype(np.float64) @ (0.299, 0.587, 0.114) for rgb in (a, b))

    def smooth(z: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(z, WINDOW, truncate=3.5)

    mean_x, mean_y = smooth(x), smooth(y)
    var_x, var_y = smooth(x * x) - mean_x**2, smooth(y * y) - mean_y**2
    covariance = smooth(x * y) - mean_x * mean_y
    light = (2 * mean_x * mean_y + STABLE[0]) / (mean_x**2 + mean_y**2 + STABLE[0])
    structure = (2 * covariance + STABLE[1]) / (var_x + var_y + STABLE[1])
    return float(np.mean(light * structure))


def default_rows() -> list[tuple[str, list[str]]]:
    """One row for each style loss that the settings know, or the plain run."""
    settings = {field.name: field for field in fields(Settings)}
    parse = settings["style_loss"].metadata["parse"] if "style_loss" in settings else None
    if words := getattr(parse, "words", ()):
        return [(word, ["--style_loss", word]) for word in words]
    return [("plain", [])]


def painting_path(name: str) -> Path:
    """A file, a picture of images/, or one of benchmarks/pictures.py."""
    own = pictures.picture_path(name)
    return own if own.exists() else Path(name)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--paintings", nargs="+", default=["starlit_harbour.jpg"])
    parser.add_argument("--image_size", type=int, default=256, help="long side in pixels")
    parser.add_argument(
        "--options", action="append", type=recipe, help='a row: NAME="--option value ..."'
    )
    parser.add_argument("--common", default="", help="options of every row")
    parser.add_argument("--init", nargs="+", default=list(STARTS), choices=STARTS)
    parser.add_argument("--output", default="output/identity", help="folder of the pictures")
    parser.add_argument("--keep", action="store_true", help="do not make finished pictures again")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    options = parser.parse_args()
    rows = options.options or default_rows()
    missing = [name for name in options.paintings if not painting_path(name).exists()]
    if missing:
        sys.exit(f"identity: no {', '.join(missing)}; perhaps run benchmarks/pictures.py")
    facts: dict[str, Any] = {**machine(), "image_size": options.image_size, "rows": dict(rows)}
    facts |= {"common": options.common, "results": []}
    for key in ("machine", "versions", "image_size", "common"):
        print(f"{key:10} {facts[key]}")
    print(f"\n{'painting':24}{'options':20}{'init':16}{'PSNR dB':>9}{'SSIM':>8}{'seconds':>9}")
    for name in options.paintings:
        path = painting_path(name)
        for row, words in rows:
            for start in options.init:
                given = ["--image_size", str(options.image_size), *shlex.split(options.common)]
                folder = Path(options.output) / row / start
                made, seconds = paint(
                    path, path, [*given, *words, "--init", start], folder, options.keep
                )
                result = read(made)
                painting = read(path, max(result.shape))
                numbers = {"psnr": psnr(result, painting), "ssim": ssim(result, painting)}
                facts["results"].append(
                    {"painting": name, "row": row, "init": start, **numbers, "seconds": seconds}
                )
                told = f"{numbers['psnr']:9.2f}{numbers['ssim']:8.4f}{seconds:9.1f}"
                print(f"{Path(name).stem[:23]:24}{row[:19]:20}{start:16}{told}", flush=True)
    report(facts, options.json)


if __name__ == "__main__":
    main()
