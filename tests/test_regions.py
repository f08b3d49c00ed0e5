"""Several styles in one picture: mixed, or each in its own region."""

import numpy as np
import pytest
import tensorflow as tf

from nst import guides
from nst.costs import gram_matrix, style_slope
from nst.errors import UsageError
from nst.settings import Settings
from nst.tile_graph import Graphs
from nst_utils import build_objective, build_vgg, start_image, transfer_style
from test_algorithm import assert_slope, of


@pytest.fixture(scope="module")
def woodcut():
    from conftest import ROOT
    from nst import images

    return images.read(ROOT / "images/woodcut_wave.jpg", 80).rgb.astype(np.float32)


@pytest.fixture(scope="module")
def soft():
    """A soft mask of the temple picture: white at the left, black at the right."""
    return np.tile(np.linspace(1, 0, 96, dtype=np.float32), (64, 1))


def image_of(temple, harbour, vgg16):
    return start_image(of(temple, harbour), vgg16.mean, Settings())


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16, tf.float16])
@pytest.mark.parametrize("positions", [5, 9000])
def test_a_guided_gram_matrix_weighs_positions(dtype, positions):
    random = np.random.default_rng(0)
    activation = tf.constant(random.random((1, positions, 1, 8)), dtype)
    guide = random.random((positions, 1, 1)).astype(np.float32)
    features = tf.cast(activation, tf.float64)[0, :, 0].numpy()
    expected = features.T @ (features * guide[:, 0])
    error = 1e-5 if dtype != tf.bfloat16 else 1e-2
    np.testing.assert_allclose(gram_matrix(activation, tf.constant(guide)), expected, rtol=error)


def test_the_slope_of_a_guided_gram_matrix_is_what_tensorflow_derives():
    random = np.random.default_rng(0)
    activation = tf.constant(random.normal(size=(1, 4, 5, 7)).astype(np.float32))
    guide = tf.constant(random.random((4, 5, 1)).astype(np.float32))
    slope = random.normal(size=(7, 7)).astype(np.float32)
    slope += slope.T
    with tf.GradientTape() as tape:
        tape.watch(activation)
        cost = tf.reduce_sum(slope * gram_matrix(activation, guide))
    derived = tape.gradient(cost, activation)
    np.testing.assert_allclose(style_slope(activation, slope, guide), derived, rtol=1e-3, atol=1e-4)


def test_guides_are_means_over_cells():
    random = np.random.default_rng(0)
    mask = random.random((13, 21)).astype(np.float32)
    found = guides.pyramid([mask, 1 - mask])
    assert sorted(found) == [1, 2, 4, 8, 16, 32]
    for cells, guide in found.items():
        assert guide.shape == (-(-13 // cells), -(-21 // cells), 2)
        np.testing.assert_allclose(guide.sum(axis=2), 1, rtol=1e-5)
    np.testing.assert_allclose(found[4][1, 2, 0], mask[4:8, 8:12].mean(), rtol=1e-5)
    np.testing.assert_allclose(found[4][3, 0, 0], mask[12:, :4].mean(), rtol=1e-5)
    assert guides.pyramid([]) == {}


def test_a_white_mask_is_no_mask(vgg16, temple, harbour):
    image = image_of(temple, harbour, vgg16)
    costs, gradient = build_objective(temple, harbour, vgg16)(image)
    white = [np.ones(p.shape[:2], np.float32) for p in (temple, harbour)]
    masks = {"content_masks": white[:1], "style_masks": white[1:]}
    of_masks, of_gradient = build_objective(temple, harbour, vgg16, **masks)(image)
    np.testing.assert_allclose(of_masks[:4], costs[:4], rtol=1e-5)
    np.testing.assert_allclose(of_masks.layers, costs.layers, rtol=1e-5)
    np.testing.assert_allclose(of_gradient, gradient, atol=1e-5 * np.abs(gradient).max())


def test_mixed_styles_have_the_mixture_of_gram_matrices(vgg16, temple, harbour, woodcut):
    settings = Settings(style_weights=(3, 1))
    mixed = build_objective(temple, [harbour, woodcut], vgg16, settings)
    alone = [build_objective(temple, style, vgg16) for style in (harbour, woodcut)]
    for layer, target in mixed.style_targets.items():
        one, other = (objective.style_targets[layer] for objective in alone)
        np.testing.assert_allclose(target, 0.75 * one + 0.25 * other, rtol=1e-4, atol=1e-4)


def test_regions_are_measured_against_their_own_style(vgg16, temple, harbour, woodcut, soft):
    """J_style by NumPy from the activations, with guides and Gram matrices written out."""
    settings = Settings(style_weights=(1, 3), style_layers=["conv2_1", "conv3_1:3"])
    masks = [soft, 1 - soft]
    image = image_of(temple, harbour, vgg16)
    objective = build_objective(temple, [harbour, woodcut], vgg16, settings, content_masks=masks)
    vgg = build_vgg(vgg16, settings)

    def gram(picture, layer, mask):
        features = vgg(tf.constant(picture))[layer].numpy()[0].astype(np.float64)
        guide = guides.pyramid([mask])[2 if layer == "conv2_1" else 4].astype(np.float64)
        guided = (features * guide).reshape(-1, features.shape[-1])
        return guided.T @ features.reshape(guided.shape) / guide.sum(), guide.mean()

    expected = 0.0
    for layer, weight in (("conv2_1", 0.25), ("conv3_1", 0.75)):
        for style, mask, share in ((harbour, masks[0], 0.5), (woodcut, masks[1], 1.5)):
            found, area = gram(image, layer, mask)
            target, _ = gram(style, layer, np.ones(style.shape[:2], np.float32))
            expected += weight * share * area * np.mean((found - target) ** 2) / 4
    assert objective(image)[0].style == pytest.approx(expected, rel=1e-4)


def test_the_gradient_with_regions_is_the_slope_of_the_cost(vgg16, temple, harbour, woodcut, soft):
    settings = Settings(alpha=1000, tv_weight=1000)
    objective = build_objective(
        temple,
        [harbour, woodcut],
        vgg16,
        settings,
        content_masks=[soft, (1 - soft) ** 2],
        style_masks=[np.tril(np.ones(harbour.shape[:2], np.float32)), woodcut[:, :, 0] / 255],
    )
    assert_slope(objective, image_of(temple, harbour, vgg16))


def test_nothing_is_painted_outside_the_masks(vgg16, temple, harbour):
    """Far from the mask the style has no say: with alpha the content comes back from noise."""
    mask = np.zeros(temple.shape[:2], np.float32)
    mask[:, :16] = 1
    settings = Settings(epochs=25, optimizer="lbfgs", init="content", precision="float32")
    last = list(transfer_style(temple, harbour, vgg16, settings, content_masks=[mask]))[-1].image
    moved = np.abs(last - temple).mean(axis=(0, 2))
    assert moved[:16].mean() > 20
    assert moved[-1] < 1e-3  # farther than the deepest layer sees at 96 pixels: nothing moved it


def test_as_many_masks_and_weights_as_styles(vgg16, temple, harbour):
    mask = np.ones(temple.shape[:2], np.float32)
    for wrong in (
        {"content_masks": [mask, mask]},
        {"style_masks": [mask] * 3},
        {"settings": Settings(style_weights=[1, 2])},
    ):
        with pytest.raises(UsageError, match="give one"):
            build_objective(temple, harbour, vgg16, **wrong)


def test_masks_have_the_size_of_their_pictures(vgg16, temple, harbour):
    for which in ("content_masks", "style_masks"):
        with pytest.raises(UsageError, match=r"\(5, 6\) for a picture of"):
            build_objective(temple, harbour, vgg16, **{which: [np.ones((5, 6), np.float32)]})


def test_graphs_are_traced_once_for_all_sizes(vgg16, temple, harbour):
    from nst.objective import Objective

    settings = Settings()
    graphs = Graphs(build_vgg(vgg16, settings), settings)
    for factor in (0.3, 0.5, 1):
        pictures = of(temple, harbour).scaled(factor)
        Objective(graphs, pictures)(pictures.content.astype(np.float32))
    (graph,) = graphs._made.values()
    assert graph.evaluate.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_gradient_that_is_not_finite_ends_the_run(vgg16, temple, harbour, monkeypatch, optimizer):
    from nst.errors import DivergedError
    from nst.objective import Objective

    evaluate = Objective.__call__

    def broken(self, image):
        costs, gradient = evaluate(self, image)
        gradient[0, 0, 0] = np.nan
        return costs, gradient

    monkeypatch.setattr(Objective, "__call__", broken)
    with pytest.raises(DivergedError, match="iteration 0; use --precision"):
        next(transfer_style(temple, harbour, vgg16, Settings(optimizer=optimizer)))


@pytest.mark.parametrize(
    ("arguments", "settings", "word"),
    [
        ((None, "style"), {}, "content: give one"),
        (("content", []), {}, "style: give one"),
        (("content", []), {"beta": 0, "init": "style"}, "no style to start from"),
        (("content", "style"), {"init": "x.jpg"}, "x.jpg is to be given as start"),
    ],
)
def test_calls_that_lack_a_picture_are_refused(vgg16, temple, harbour, arguments, settings, word):
    pictures = {"content": temple, "style": harbour}
    arguments = [pictures.get(name, name) if isinstance(name, str) else name for name in arguments]
    with pytest.raises(UsageError, match=word):
        next(transfer_style(*arguments, vgg16, Settings(**settings)))


@pytest.mark.parametrize("value", [0.0, 2.0])
def test_masks_from_python_are_from_0_to_1_and_not_black(vgg16, temple, harbour, value):
    mask = np.full(temple.shape[:2], value, np.float32)
    with pytest.raises(UsageError, match="from 0 to 1"):
        build_objective(temple, harbour, vgg16, content_masks=[mask])
