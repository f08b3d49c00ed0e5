"""A finished run that the tests of pages look at, and the frames of an animation."""

import numpy as np
import pytest
from PIL import Image

import nst_main
from helpers import QUICK, USUAL_STYLE_LAYERS, save_small


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """The folder of a finished run of two scales; it is only read."""
    folder = tmp_path_factory.mktemp("pages")
    content = save_small("temple.jpg", (48, 32), folder / "photo.png")
    style = save_small("woodcut_wave.jpg", (48, 32), folder / "painting.png")
    command = ["--content_image_filename", content, "--style_image_filename", style, *QUICK]
    command += [*USUAL_STYLE_LAYERS, "--epochs", 24, "--scales", 2, "--tv_weight", 1]
    command += ["--learning_rate", 2]  # JPEG rounds loud noise by more
    command += ["--output_dir", folder / "output"]
    assert nst_main.main(list(map(str, command))) == 0
    return folder / "output/photo__painting"


@pytest.fixture
def flags(tmp_path):
    """Twelve frames of an odd size: bars of pure colours that move."""
    colors = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [128, 128, 128], [255, 255, 0]])
    paths = []
    for number in range(12):
        bars = np.repeat(np.roll(colors, number, axis=0), 15, axis=0)
        image = np.broadcast_to(bars, (51, 75, 3)).astype(np.uint8)
        paths.append(tmp_path / f"frame_{number:05}.png")
        Image.fromarray(image).save(paths[-1])
    return paths
