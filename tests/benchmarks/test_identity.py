"""PSNR, SSIM and the rows of the identity test."""

import numpy as np
import pytest

from helpers import ROOT


@pytest.fixture(scope="module")
def painting():
    from nst.pictures.read import read_picture

    return read_picture(ROOT / "images/woodcut_wave.jpg", 120).rgb.astype(np.float32)


def test_the_same_picture_is_perfect_and_noise_is_worse(painting):
    from identity import psnr, ssim

    weak, strong = (
        np.clip(painting + np.random.default_rng(0).normal(0, size, painting.shape), 0, 255)
        for size in (5, 40)
    )
    assert ssim(painting, painting) == pytest.approx(1)
    assert psnr(painting, painting) > 100
    assert 1 > ssim(weak, painting) > ssim(strong, painting) > 0
    assert psnr(weak, painting) > psnr(strong, painting)
    assert psnr(painting, painting + 10) == pytest.approx(20 * np.log10(25.5))


def test_rows_are_the_style_losses_or_the_plain_run():
    from identity import default_rows

    rows = default_rows()
    assert rows == [("plain", [])] or all(words == ["--style_loss", name] for name, words in rows)
