"""What pictures look like: some are painted again and compared with pictures that are kept.

Processors and versions of libraries round otherwise, which moves the pixels by half a level on
average. What changes the cost or the optimizer moves them by four levels and more.
"""

import os
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from helpers import ROOT, pixels
from nst.engine.evaluation import Evaluation
from nst.engine.tiling import WHOLE
from nst.pictures.read import read_picture
from nst.pictures.write import encode
from nst.settings import Settings
from nst_utils import transfer_style

PICTURE = "tests/golden/temple__starlit_harbour"
GOLDEN = {  # by --style_loss
    "gram": ROOT / f"{PICTURE}.png",
    "moments": ROOT / f"{PICTURE}__moments.png",
    "wasserstein": ROOT / f"{PICTURE}__wasserstein.png",
}
# Weights of the cost that let every part of it be seen: content, each style layer, and variation.
SETTINGS = Settings(epochs=12, optimizer="lbfgs", alpha=300, tv_weight=3e4)
LUMA = np.array([0.299, 0.587, 0.114])
MOST_LEVELS = 1.0  # mean absolute difference, of 255; processors differ by some tenths
LEAST_SIMILARITY = 0.99  # SSIM, 1 for equal pictures
RENEW = "NST_RENEW_GOLDEN"  # environment variable
CHANGED = f"""pictures have changed ({{levels:.2f}} levels, SSIM {{similarity:.4f}}).
If they were meant to: bump __version__ in nst/__init__.py, write it in CHANGELOG.md, and renew the
golden pictures with
    {RENEW}=1 python -m pytest tests/test_golden.py"""


def paint(weights, settings=SETTINGS):
    """The shipped pictures, 96 pixels wide, repainted: (64, 96, 3) uint8."""
    content, style = (
        read_picture(ROOT / "images" / name, 96).rgb
        for name in ("temple.jpg", "starlit_harbour.jpg")
    )
    evaluation = Evaluation("float32", (WHOLE,))
    *_, last = transfer_style(content, style, weights, settings, evaluation=evaluation)
    return np.rint(last.image).astype(np.uint8)


def similarity(one, other):
    """SSIM of the luma of two pictures (Wang et al. 2004): Gaussian windows of 1.5 pixels."""
    x, y = one @ LUMA, other @ LUMA

    def mean(values):
        return gaussian_filter(values, 1.5, truncate=3.5)

    mean_x, mean_y = mean(x), mean(y)
    variance_x, variance_y = mean(x * x) - mean_x**2, mean(y * y) - mean_y**2
    covariance = mean(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return float(np.mean(luminance * (2 * covariance + c2) / (variance_x + variance_y + c2)))


def assert_golden(picture, style_loss="gram"):
    """Fail if a picture does not look like the golden one."""
    golden = pixels(GOLDEN[style_loss])
    assert picture.shape == golden.shape
    levels = float(np.abs(picture.astype(float) - golden).mean())
    ssim = similarity(picture, golden)
    if levels > MOST_LEVELS or ssim < LEAST_SIMILARITY:
        pytest.fail(CHANGED.format(levels=levels, similarity=ssim), pytrace=False)


@pytest.mark.parametrize("style_loss", GOLDEN)
def test_pictures_look_as_they_did(vgg19, style_loss):
    picture = paint(vgg19, replace(SETTINGS, style_loss=style_loss))
    if os.environ.get(RENEW):
        GOLDEN[style_loss].write_bytes(encode(picture, "png"))
    assert_golden(picture, style_loss)


@pytest.mark.parametrize(
    "change",
    [
        {"beta": 2 * SETTINGS.beta},
        {"style_loss": "moments", "beta": 2 * SETTINGS.beta},
        {"style_loss": "wasserstein", "beta": 2 * SETTINGS.beta},
        {"tv_weight": 2 * SETTINGS.tv_weight},
        {"style_layers": [layer for layer, _ in SETTINGS.style_layers[1:]]},
    ],
    ids=["beta", "beta of moments", "beta of wasserstein", "tv_weight", "without conv1_1"],
)
def test_another_cost_would_be_seen(vgg19, change):
    """The bounds are sharp: with the least of changes the picture is another one."""
    with pytest.raises(pytest.fail.Exception, match="bump __version__ in .*\n.*\n *NST_RENEW"):
        assert_golden(paint(vgg19, replace(SETTINGS, **change)), change.get("style_loss", "gram"))


def test_similarity_is_1_of_equal_pictures_only(temple):
    assert similarity(temple, temple) == pytest.approx(1)
    assert similarity(temple, 255 - temple) < 0
    assert 0.5 < similarity(temple, temple + 30) < 0.999
    noise = np.random.default_rng(0).normal(scale=20, size=temple.shape)
    assert similarity(temple, temple + noise) < 0.9
