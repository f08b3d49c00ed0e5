"""The style loss ``neighbours``: its cost, its search, its scales and its last pass."""

import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from helpers import assert_gradient
from nst.api import build_objective
from nst.engine.evaluation import Evaluation
from nst.engine.hypercolumns import MOST_FEATURES
from nst.engine.inputs import prepare_inputs
from nst.engine.neighbour_cost import NeighbourCost, NeighbourTarget
from nst.engine.neighbour_search import find_targets, mixed_query
from nst.engine.objective import Objective
from nst.engine.scales import last_rounds, scale_factors, scale_iterations
from nst.engine.tiling import WHOLE, Tiling
from nst.errors import UsageError
from nst.settings import Settings
from nst_utils import build_graphs, build_vgg, make_objective, transfer_style

NEIGHBOURS = Settings(style_loss="neighbours", precision="float32")
TILES = [
    Tiling((("pool2", 32), (None, None))),
    Tiling((("pool2", 24), (None, 40))),
    Tiling(((None, 32),)),
]


@pytest.fixture(scope="module")
def graphs(vgg19):
    """Traced once for all pictures."""
    return build_graphs(vgg19, NEIGHBOURS)


def noisy(content):
    """An image near the content."""
    noise = np.random.default_rng(0).normal(scale=20, size=content.shape)
    return np.clip(content + noise, 0, 255).astype(np.float32)


def means(features, cells):
    """Means over cells x cells, by NumPy; over fewer at odd borders."""
    height, width = (math.ceil(side / cells) for side in features.shape[:2])
    return np.array(
        [
            [
                features[r * cells : (r + 1) * cells, c * cells : (c + 1) * cells].mean(axis=(0, 1))
                for c in range(width)
            ]
            for r in range(height)
        ]
    )


def cost_in_float64(features, target, cells):
    """The sum over positions, by NumPy."""
    directions = target.directions[0].astype(np.float64)
    seen = means(features[0], cells) - target.centre
    cosines = (seen * directions).sum(axis=2)
    cosines /= np.sqrt(np.square(seen).sum(axis=2) + 1e-4)
    return np.sum(np.linalg.norm(directions, axis=2) - cosines)


@pytest.mark.parametrize("cells", [1, 2, 4])
@pytest.mark.parametrize("size", [(8, 12), (5, 7), (1, 2), (3, 9)])
def test_the_derivatives_of_the_cost(cells, size):
    random = np.random.default_rng(0)
    cost = NeighbourCost(6, cells)
    features = random.normal(size=(1, *size, 6)).astype(np.float32)
    shape = [math.ceil(side / cells) for side in size]
    target = NeighbourTarget(
        random.normal(size=(1, *shape, 6)).astype(np.float32),
        random.normal(size=6).astype(np.float32),
    )
    activation = tf.constant(features)
    np.testing.assert_allclose(cost.kept(activation)[0], means(features[0], cells), atol=1e-6)
    positions, weight = float(np.prod(shape)), 3.0
    total = cost.sums(activation, target)
    assert float(total) == pytest.approx(cost_in_float64(features, target, cells), rel=1e-5)
    value = cost.value(total / positions)
    dsums = cost.dvalue(total / positions, None, weight, tf.constant(positions))
    gradient = cost.gradient(activation, target, dsums)
    assert gradient.shape == features.shape
    for direction in random.normal(size=(3, *features.shape)):
        up, down = (
            cost_in_float64(features + step * direction, target, cells) for step in (1e-5, -1e-5)
        )
        slope = weight * (up - down) / positions / 2e-5
        assert np.sum(gradient * direction) == pytest.approx(slope, rel=1e-3, abs=1e-5)
    assert float(value) >= 0


def test_the_cost_is_least_where_activations_point_along_their_directions():
    random = np.random.default_rng(0)
    directions = random.normal(size=(1, 3, 4, 6)).astype(np.float32)
    target = NeighbourTarget(directions, np.ones(6, np.float32))
    same = tf.constant(1 + 50 * directions)
    assert float(NeighbourCost(6).sums(same, target)) == pytest.approx(0, abs=1e-3)
    away = tf.constant(1 - 50 * directions)
    most = 2 * np.linalg.norm(directions, axis=3).sum()
    assert float(NeighbourCost(6).sums(away, target)) == pytest.approx(most, rel=1e-3)


def test_a_tile_in_the_border_has_no_positions():
    target = NeighbourTarget(tf.zeros((1, 0, 2, 6)), tf.zeros(6))
    activation, cost = tf.zeros((1, 0, 8, 6)), NeighbourCost(6, 4)
    assert cost.kept(activation).shape == (1, 0, 2, 6)
    assert float(cost.sums(activation, target)) == 0
    assert cost.gradient(activation, target, tf.ones(())).shape == (1, 0, 8, 6)


def hypercolumns(vgg, picture):
    """(h / 4 * w / 4, D) float64, of a picture whose sides are multiples of 8, without border."""
    parts = []
    for layer, activation in vgg(tf.constant(picture)).items():
        features, number = activation.numpy()[0].astype(np.float64), int(layer[4])
        if number < 3:
            features = means(features, {1: 4, 2: 2}[number])
        if number == 4:
            features = features.repeat(2, axis=0).repeat(2, axis=1)
        parts.append(features / features.shape[2])
    whole = np.concatenate(parts, axis=2)
    return whole.reshape(-1, whole.shape[2])


def test_every_position_finds_its_nearest_style_feature(vgg19, temple, harbour):
    """All of the search by NumPy, of the first scale."""
    settings = replace(NEIGHBOURS, padding="zeros")
    content, style = temple[:32, :48], harbour[:40, :56]
    inputs = prepare_inputs(content, style, settings)
    targets = find_targets(build_graphs(vgg19, settings), inputs, WHOLE, None, False)
    vgg = build_vgg(vgg19, settings)
    turned = [hypercolumns(vgg, np.ascontiguousarray(np.rot90(style, k))) for k in range(4)]
    features = np.concatenate(turned)
    query = hypercolumns(vgg, content)
    units = features - features.mean(axis=0)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    nearest = ((query - query.mean(axis=0)) @ units.T).argmax(axis=1)
    chosen = features[nearest]
    chosen /= np.linalg.norm(chosen, axis=1, keepdims=True)
    depth, total = 0, 0.0
    for layer in vgg.outputs:
        found = targets[f"style {layer} NeighbourCost"]
        assert not found.centre.any()
        part = chosen[:, depth : depth + found.directions.shape[3]].reshape(8, 12, -1)
        depth += part.shape[2]
        weight = np.square(part).sum(axis=2).mean()
        total += weight
        expected = weight * part / np.linalg.norm(part, axis=2, keepdims=True)
        if layer.startswith("conv4"):
            expected = means(expected, 2)
        np.testing.assert_allclose(found.directions[0], expected, atol=1e-5)
    assert total == pytest.approx(1)


def test_the_gradient_is_the_slope_of_the_cost(vgg19, temple, harbour):
    objective = build_objective(temple[:45, :63], harbour, vgg19, NEIGHBOURS)
    assert_gradient(objective, noisy(temple[:45, :63]))


@pytest.mark.parametrize("last_pass", [False, True])
@pytest.mark.parametrize(
    ("tiling", "size"), [(TILES[0], (45, 71)), (TILES[1], (45, 71)), (TILES[2], (40, 56))]
)
def test_tiles_give_the_whole(graphs, temple, harbour, tiling, last_pass, size):
    content = temple[: size[0], : size[1]]
    image = noisy(content)
    inputs = prepare_inputs(content, harbour, NEIGHBOURS)
    targets = [
        find_targets(graphs, inputs, how, image if last_pass else None, last_pass)
        for how in (WHOLE, tiling)
    ]
    for key, whole in targets[0].items():  # rounding may choose another of two that are as near
        same = np.isclose(whole.directions, targets[1][key].directions, atol=1e-4).mean()
        assert same > 0.98
    costs, gradient = Objective(graphs, inputs, WHOLE, targets[0], last_pass)(image)
    tiled = Objective(graphs, inputs, tiling, targets[0], last_pass)
    tiled_costs, tiled_gradient = tiled(image)
    assert len(tiled._stages[0].tiles) > 1
    assert tiled_costs.total == pytest.approx(costs.total, rel=1e-5)
    assert len(costs.layers) == 12
    assert (costs.layers[0] == 0) == last_pass
    error = np.linalg.norm(gradient - tiled_gradient) / np.linalg.norm(gradient)
    assert error < 2e-5


def test_tiles_off_the_grid_are_refused(vgg19, temple, harbour):
    with pytest.raises(ValueError, match="grid"):
        build_objective(
            temple, harbour, vgg19, NEIGHBOURS, tiling=Tiling((("pool1", 34), (None, None)))
        )


def test_masks_choose_the_style_and_weigh_the_position(graphs, temple, harbour):
    other = 255 - harbour
    left = np.zeros(temple.shape[:2], np.float32)
    left[:, :48] = 1
    key = "style conv3_1 NeighbourCost"

    def directions(styles, masks):
        inputs = prepare_inputs(temple, styles, NEIGHBOURS, masks)
        return find_targets(graphs, inputs, WHOLE, None, False)[key].directions[0]

    both = directions([harbour, other], [left, 1 - left])
    halves = directions([harbour, other], [left, np.full_like(left, 0.1)])
    swapped = directions([other, harbour], [1 - left, left])
    np.testing.assert_array_equal(both, swapped)
    lengths = np.linalg.norm(halves, axis=2)
    assert lengths[:, 12:].max() == pytest.approx(0.1 * lengths[:, :12].max(), rel=0.2)
    alone = directions([harbour, harbour], [left, 1 - left])
    np.testing.assert_allclose(both[:, :12], alone[:, :12], rtol=0.2, atol=1e-6)
    assert np.abs(both[:, 12:] - alone[:, 12:]).max() > 1e-3


def test_style_masks_leave_features_out(graphs, temple, harbour):
    mask = np.zeros(harbour.shape[:2], np.float32)
    mask[:24, :32] = 1
    inputs = prepare_inputs(temple, harbour, NEIGHBOURS, (), [mask])
    find_targets(graphs, inputs, WHOLE, None, False)
    ((library,),) = graphs._features[1]
    assert len(library.matrix) == 4 * 6 * 8


def test_mixed_styles_are_searched_in_proportion(vgg19, temple, harbour, monkeypatch):
    settings = replace(NEIGHBOURS, style_weights=(3, 1))
    graphs = build_graphs(vgg19, settings)
    inputs = prepare_inputs(temple, [harbour, harbour[:48, :48]], settings)
    find_targets(graphs, inputs, WHOLE, None, False)
    ((library,),) = graphs._features[1]
    # All of the first is a third of what would be there.
    assert len(library.matrix) == pytest.approx(4 * 18 * 24 * 4 / 3, abs=8)
    monkeypatch.setattr("nst.engine.neighbour_search.MOST_FEATURES", 400)
    graphs = build_graphs(vgg19, settings)
    find_targets(graphs, inputs, WHOLE, None, False)
    ((library,),) = graphs._features[1]
    assert len(library.matrix) == pytest.approx(400, abs=8)
    assert MOST_FEATURES > 400


def test_the_query_has_the_details_of_the_content(temple):
    assert mixed_query(temple, None) is temple
    flat = np.full_like(temple, 100)
    mixed = mixed_query(temple, flat)
    assert np.abs(mixed - (0.75 * temple + 25)).mean() < 5
    assert np.abs(mixed_query(temple, temple) - temple).mean() < 5


@pytest.mark.parametrize("epochs", [1, 4, 7, 8, 40, 160, 1000])
@pytest.mark.parametrize("long_side", [20, 48, 128, 256, 512, 2000])
def test_scales_and_rounds_share_the_iterations(epochs, long_side):
    settings = Settings(style_loss="neighbours", epochs=epochs)
    factors = scale_factors(settings, (long_side, long_side // 2))
    iterations = scale_iterations(settings, len(factors))
    assert [i for its in iterations for i in its] == list(range(epochs + 1))
    assert all(iterations)
    rounds = last_rounds(settings)
    assert rounds == min(5, epochs // 8)
    assert factors[len(factors) - rounds :] == [1.0] * rounds
    assert factors == sorted(factors)
    assert len(factors) - rounds <= 4


def test_the_natural_number_of_iterations():
    settings = Settings(style_loss="neighbours")
    iterations = scale_iterations(settings, len(scale_factors(settings, (512, 512))))
    assert len(iterations) == 9
    np.testing.assert_allclose([len(its) for its in iterations], [40, 40, 30, 24, *[5] * 5], atol=2)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"alpha": 0}, "holds the content"),
        ({"alpha": 0, "image_size": "64x64"}, "holds the content"),
        ({"beta": 0}, "needs a style"),
        ({"style_layers": ["conv1_1"]}, "style_layers"),
    ],
)
def test_what_it_cannot_do_is_refused(options, part):
    with pytest.raises(UsageError, match=part):
        Settings(style_loss="neighbours", **options)


def test_defaults_are_its_own_unless_given():
    settings = Settings(style_loss="neighbours")
    assert (settings.epochs, settings.optimizer, settings.init, settings.scales) == (
        160,
        "lbfgs",
        "content",
        "auto",
    )
    assert settings.changed() == {"style_loss": "neighbours"}
    own = Settings(style_loss="neighbours", epochs=30, learning_rate=3, init="noise", scales=2)
    assert (own.epochs, own.optimizer, own.init, own.scales) == (30, "adam", "noise", 2)
    assert Settings(style_loss="neighbours", preset="fast").epochs == 35
    assert Settings(style_loss="neighbours", preset="tutorial").used_content_layers == ()
    assert len(settings.used_style_layers) == 12
    assert len(Settings(style_loss="neighbours", network="vgg16").used_style_layers) == 10


def test_a_picture_takes_the_style_and_keeps_the_content(vgg19, graphs, temple, harbour):
    settings = replace(NEIGHBOURS, epochs=40)
    steps = list(transfer_style(temple, harbour, vgg19, settings, graphs=graphs))
    assert steps[-1].scales == 7
    by_scale = {}
    for step in steps:
        by_scale.setdefault(step.scale, []).append(step.costs.total)
    for costs in by_scale.values():
        assert costs[-1] < costs[0]
    result = steps[-1].image

    def mean_colour(picture):
        return picture.reshape(-1, 3).mean(axis=0)

    style = mean_colour(harbour)
    before, after = (np.linalg.norm(mean_colour(p) - style) for p in (temple, result))
    assert after < 0.7 * before
    grey = [p.mean(axis=2)[::4, ::4].ravel() for p in (temple, result)]
    assert np.corrcoef(*grey)[0, 1] > 0.4


@pytest.mark.slow
def test_a_position_resumes_bit_for_bit(vgg19, graphs, temple, harbour):
    settings, pictures = replace(NEIGHBOURS, epochs=40), (temple[:40, :64], harbour)
    steps, stops = [], {3, 26, 28, 39}
    for step in transfer_style(*pictures, vgg19, settings, graphs=graphs):
        if step.iteration in stops:
            saved = replace(step.position, state=step.position.state.saved())
            step = pickle.loads(pickle.dumps(replace(step, position=saved, source=step.image)))
        steps.append(step)
    for stop in stops:
        position = steps[stop].position
        again = list(transfer_style(*pictures, vgg19, settings, graphs=graphs, position=position))
        for one, other in zip(steps[stop + 1 :], again, strict=True):
            assert one.costs == other.costs
            np.testing.assert_array_equal(one.image, other.image)


@pytest.mark.slow
def test_a_run_by_tiles_makes_nearly_the_same_picture(vgg19, temple, harbour):
    settings = replace(NEIGHBOURS, epochs=16)
    count = len(scale_factors(settings, temple.shape[:2]))
    whole, tiled = (
        list(
            transfer_style(
                temple, harbour, vgg19, settings, evaluation=Evaluation("float32", (how,) * count)
            )
        )[-1]
        for how in (WHOLE, TILES[0])
    )
    assert tiled.costs.total == pytest.approx(whole.costs.total, rel=2e-2)
    assert np.abs(tiled.image - whole.image).mean() < 3


@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16])
def test_other_dtypes(vgg19, graphs, temple, harbour, dtype):
    inputs = prepare_inputs(temple, harbour, NEIGHBOURS)
    exact, gradient = make_objective(graphs, inputs, WHOLE, NEIGHBOURS)(temple)
    rough = build_graphs(vgg19, NEIGHBOURS, dtype)
    costs, other = make_objective(rough, inputs, WHOLE, NEIGHBOURS)(temple)
    assert costs.total == pytest.approx(exact.total, rel=0.02)
    cosine = np.sum(gradient * other) / np.linalg.norm(gradient) / np.linalg.norm(other)
    assert cosine > 0.95


def test_the_command_line_says_what_it_does(nst, pair, tmp_path):
    options = ("--style_loss", "neighbours", "--image_size", 48, "--epochs", 9, "--alpha", 5)
    done = nst(*pair, *options, "--scales", 2, "--precision", "float32")
    assert done.code == 0, done.err
    assert "alpha: no effect, as neighbours has no content cost" in done.err
    assert "24 x 16, 48 x 32, and 1 last ones, up to iterations" in done.err
    folder = tmp_path / "output/photo__painting"
    head, *rows = (folder / "costs.csv").read_text().splitlines()
    assert head.startswith("iteration,scale")
    assert [row.split(",")[1] for row in rows][-1] == "3"
    assert (folder / "generated_image.png").exists()
    refused = nst(*pair, *options, "--style_layers", "conv1_1")
    assert refused.code == 2
    assert "blocks 1 to 4" in refused.err
