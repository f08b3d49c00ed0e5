"""Keeping the colours of the content."""

import numpy as np
import pytest

from nst.engine import colours
from nst.engine.evaluation import Evaluation
from nst.engine.tiling import WHOLE
from nst.settings import Settings
from nst_utils import build_graphs, transfer_style


def statistics(picture):
    colour = picture.reshape(-1, 3).astype(np.float64)
    return colour.mean(axis=0), np.cov(colour.T, bias=True)


def test_matching_gives_mean_and_covariance_of_the_content():
    random = np.random.default_rng(0)
    style = np.clip(random.normal(120, 20, (40, 50, 3)), 0, 255)
    mix = [[1, 0.4, 0.1], [0, 0.8, 0.2], [0, 0, 0.6]]
    content = np.clip(random.normal(0, 15, (30, 20, 3)) @ mix + [140, 110, 120], 0, 255)
    matched = colours.match(style, content)
    for one, other in zip(statistics(matched), statistics(content)):
        np.testing.assert_allclose(one, other, rtol=0.01, atol=1)


def test_matching_a_picture_to_itself_leaves_it(harbour):
    np.testing.assert_allclose(colours.match(harbour, harbour), harbour, atol=0.1)


@pytest.mark.parametrize("colour", [0, 77, 255])
def test_pictures_of_one_colour_can_be_matched(harbour, colour):
    plain = np.full((5, 6, 3), colour, np.uint8)
    np.testing.assert_allclose(colours.match(harbour, plain), colour, atol=1)
    assert np.isfinite(colours.match(plain, harbour)).all()
    grey = colours.prepare(plain, "luminance")
    of_style = colours.prepare_style(harbour, plain, "luminance")
    assert np.isfinite(of_style).all()
    np.testing.assert_allclose(of_style.mean(), grey.mean(), atol=1)


def test_luminance_keeps_what_is_not_luminance(temple, harbour):
    grey = colours.prepare(temple, "luminance")
    of_style = colours.prepare_style(harbour, temple, "luminance")
    assert (grey[..., 0] == grey[..., 2]).all()
    assert (of_style[..., 0] == of_style[..., 1]).all()
    np.testing.assert_allclose(of_style.mean(), grey.mean(), rtol=0.05)
    darker = np.clip(0.8 * temple + 20, 0, 255)
    restored = colours.restore(darker, temple, "luminance")
    np.testing.assert_allclose(
        colours.luminance(restored), colours.luminance(darker), atol=6
    )  # but for what is clipped
    inside = ((restored > 0) & (restored < 255)).all(axis=2)
    chroma = (restored - colours.luminance(restored)[..., np.newaxis])[inside]
    of_content = (temple - colours.luminance(temple)[..., np.newaxis])[inside]
    np.testing.assert_allclose(chroma, of_content, atol=0.01)


def test_a_transfer_keeps_colours(vgg19, temple, harbour):
    def hue(picture):  # what is left without luminance
        return (picture - colours.luminance(picture)[..., np.newaxis]).mean(axis=(0, 1))

    content, style = temple[:48, :64], harbour[:40, :56]
    options = {"preset": "tutorial", "epochs": 30, "optimizer": "lbfgs"}
    evaluation = Evaluation("float32", (WHOLE,))
    graphs = build_graphs(vgg19, Settings(preset="tutorial"))
    pictures = {}
    for mode in ("none", "luminance", "match"):
        settings = Settings(preserve_colors=mode, **options)
        *_, last = transfer_style(
            content, style, vgg19, settings, evaluation=evaluation, graphs=graphs
        )
        pictures[mode] = last.image
    away = {mode: np.abs(hue(p) - hue(content)).max() for mode, p in pictures.items()}
    assert away["luminance"] < 1
    assert away["match"] < 0.5 * away["none"]
    assert np.abs(pictures["luminance"] - content).mean() > 10  # it was painted
