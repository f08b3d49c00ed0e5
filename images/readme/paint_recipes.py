"""Make the thumbnails of the recipes in README.md, all or those that are named.

Each is made by the command line with the options of its recipe, at a smaller size. The portrait is
one of ``benchmarks/pictures.py``, to be run before.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WIDTH = 240  # pixels of a thumbnail
SIZE = "--image_size 320"

THREE = ("woodcut_wave.jpg", "mosaic_sun.jpg", "watercolour_garden.jpg")
FACE = "--content_image_filename " + str(ROOT / "benchmarks/.pictures/portrait_astronaut.png")

# Options of a recipe; of several, whose pictures stand side by side.
RECIPES: dict[str, str | tuple[str, ...]] = {
    "seconds": "--preset fast",
    "best": f"--preset painting {SIZE}",
    "more_photo": f"--preset painting --alpha 50 {SIZE}",
    "larger_strokes": f"--preset painting --style_scale 2 {SIZE}",
    "smaller_strokes": f"--preset painting --style_scale 0.5 {SIZE}",
    "similar": f"--style_loss neighbours {SIZE}",
    "dreamier": f"--preset painting --scales 3 --alpha 2 {SIZE}",
    "own_colours": f"--preset painting --preserve_colors luminance {SIZE}",
    "mixed": "--preset fast --style_image_filename woodcut_wave.jpg mosaic_sun.jpg "
    "--style_weights 3 1",
    "regions": "--preset fast --style_image_filename starlit_harbour.jpg mosaic_sun.jpg "
    "--content_mask sky.png ground.png",
    "background": f"--preset painting --content_mask sky.png --init content {SIZE}",
    "texture": "--preset painting --alpha 0 --image_size 320x213 "
    "--style_image_filename mosaic_sun.jpg",
    "layer": "--beta 0 --content_layers conv4_2 --init noise --optimizer lbfgs",
    "smoother": "--preset fast --tv_weight 3000",
    "folder": tuple(f"--preset fast --style_image_filename {style}" for style in THREE),
    "portrait": f"--preset portrait {FACE} --style_image_filename woodcut_wave.jpg {SIZE}",
}
# How much alpha counts, for README: wider than the thumbnails.
ALPHAS = tuple(f"--preset painting --alpha {alpha} --image_size 300" for alpha in (1, 10, 100))


def masks(folder: Path) -> None:
    """Where the sky of the shipped photo is, and where not."""
    with Image.open(ROOT / "images/temple.jpg") as image:
        rgb = np.asarray(image).astype(int)
    blue = (rgb[:, :, 2] > rgb[:, :, 0] + 8) & (rgb.sum(axis=2) > 330)
    sky = Image.fromarray(np.where(blue, 255, 0).astype(np.uint8))
    sky = sky.filter(ImageFilter.MedianFilter(9)).filter(ImageFilter.GaussianBlur(2))
    sky.save(folder / "sky.png")
    Image.fromarray(255 - np.asarray(sky)).save(folder / "ground.png")


def paint(options: str, folder: Path) -> Image.Image:
    """The picture of a recipe."""
    subprocess.run(
        [sys.executable, ROOT / "nst_main.py", *options.split(), "--overwrite"],
        cwd=folder,
        check=True,
    )
    (path,) = folder.glob("output/*/generated_image.png")
    with Image.open(path) as image:
        painted = image.convert("RGB")
    path.unlink()
    path.with_name("run.json").unlink()
    return painted


def row(images: list[Image.Image], whole: int) -> Image.Image:
    """Pictures side by side, ``whole`` pixels wide together."""
    width = whole // len(images)
    sheet = Image.new("RGB", (whole, round(width * images[0].height / images[0].width)))
    for number, image in enumerate(images):
        sheet.paste(
            image.resize((width, sheet.height), Image.Resampling.LANCZOS), (number * width, 0)
        )
    return sheet


def main() -> None:
    """Make the thumbnails that are named, or all."""
    for name in sys.argv[1:] or [*RECIPES, "alpha"]:
        options = ALPHAS if name == "alpha" else RECIPES[name]
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            masks(folder)
            recipes = (options,) if isinstance(options, str) else options
            images = [paint(recipe, folder) for recipe in recipes]
        if name == "alpha":
            row(images, 3 * 300).save(HERE / "alpha.jpg", quality=88)
        else:
            row(images, WIDTH).save(HERE / f"recipes/{name}.jpg", quality=88)


if __name__ == "__main__":
    main()
