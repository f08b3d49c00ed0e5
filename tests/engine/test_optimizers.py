"""L-BFGS against SciPy's on standard functions, within bounds; what optimizers promise."""

import functools
import math
import pickle

import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from nst.api import build_objective
from nst.engine.curvature import OverwrittenError
from nst.engine.evaluation import Evaluation
from nst.engine.lbfgs import FEWEST_PAIRS, LBFGS, MOST_PAIRS, pairs_kept
from nst.engine.optimizers import Adam, optimizer_class
from nst.engine.pixels import IMAGE_BYTES
from nst.engine.tiling import WHOLE
from nst.options import OPTIMIZERS
from nst.settings import Settings
from nst_utils import build_graphs, transfer_style


@functools.cache
def graph_of_step(optimizer):
    """The step of an optimizer as a graph, in which the program runs it."""
    return tf.function(optimizer.step, autograph=False)


def run(optimizer, function, start, evaluations):
    """Minimise; return the images taken, their costs, and every trial."""
    state, image = optimizer.init(start), start
    step = graph_of_step(optimizer)
    taken, trials = [], []
    for _ in range(evaluations):
        trials.append(image)
        cost, gradient = function(image)
        arguments = tf.constant(image), tf.constant(cost, tf.float64), tf.constant(gradient)
        following, state = step(*arguments, state)
        if state.accepted:
            taken.append((cost, image))
        image = following.numpy()
    return taken, trials


def flat(function):
    """A function of (N,) float64 as one of images, float32."""

    def of_image(image):
        cost, gradient = function(image.ravel().astype(np.float64))
        return cost, gradient.reshape(image.shape).astype(np.float32)

    return of_image


def rosenbrock(x):
    return scipy.optimize.rosen(x), scipy.optimize.rosen_der(x)


def valley(x):
    """A quadratic with curvatures from 1 to 10,000, its minimum partly out of 0..255."""
    curvature = np.logspace(0, 4, len(x))
    target = np.linspace(-100, 400, len(x))
    return 0.5 * np.sum(curvature * (x - target) ** 2), curvature * (x - target)


def quartic(x):
    away = x - np.linspace(10, 250, len(x))
    coupled = np.roll(away, 1) + away
    return (
        np.sum(away**4) / 1e3 + np.sum(coupled**2),
        4 * away**3 / 1e3 + 2 * (coupled + np.roll(coupled, -1)),
    )


@pytest.mark.parametrize(
    ("function", "start", "bounds"),
    [
        (rosenbrock, np.full(12, -1.2), (-2.0, 2.0)),
        (rosenbrock, np.linspace(0, 0.4, 24), (-0.5, 0.7)),  # the minimum is out of bounds
        (valley, np.full(48, 128.0), (0.0, 255.0)),
        (rosenbrock, np.linspace(-1.5, 1.5, 48), (-2.0, 2.0)),
        (quartic, np.full(48, 200.0), (0.0, 255.0)),
    ],
)
def test_lbfgs_finds_what_scipys_finds(function, start, bounds):
    theirs = scipy.optimize.minimize(
        function, start, jac=True, method="L-BFGS-B", bounds=[bounds] * len(start)
    )
    evaluations = 3 * theirs.nfev + 20
    image = start.reshape(-1, 4, 3).astype(np.float32)
    optimizer = LBFGS(10, *bounds)
    taken, trials = run(optimizer, flat(function), image, evaluations)
    first, last = taken[0][0], taken[-1][0]
    assert last - theirs.fun <= 1e-5 * (first - theirs.fun)
    assert all(trial.min() >= bounds[0] and trial.max() <= bounds[1] for trial in trials)


@settings(max_examples=50)
@given(
    seed=st.integers(0, 2**31),
    rows=st.sampled_from([1, 4, 9]),  # each is another graph
    memory=st.sampled_from([1, 6, 20]),
    steep=st.floats(0, 4),
)
def test_lbfgs_goes_down_within_bounds_to_where_nothing_can_move(seed, rows, memory, steep):
    random = np.random.default_rng(seed)
    size = rows * 6
    basis, _ = np.linalg.qr(random.normal(size=(size, size)))
    hessian = basis * 10 ** random.uniform(0, steep, size) @ basis.T
    target = random.uniform(-100, 355, size)

    def function(x):
        slope = hessian @ (x - target)
        return 0.5 * slope @ (x - target), slope

    start = random.uniform(0, 255, (rows, 2, 3)).astype(np.float32)
    taken, trials = run(LBFGS(memory), flat(function), start, 150)
    costs = [cost for cost, _ in taken]
    assert costs == sorted(costs, reverse=True)
    assert all(trial.min() >= 0 and trial.max() <= 255 for trial in trials)
    best = scipy.optimize.minimize(
        function,
        start.ravel(),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, 255)] * size,
        options={"maxiter": 5000, "ftol": 1e-15, "gtol": 1e-9},
    ).fun
    assert costs[-1] - best <= 0.01 * (costs[0] - best)


def test_lbfgs_survives_a_cliff_and_a_plain():
    def cliff(x):
        return (np.inf if x.max() > 201 else float(np.sum((x - 200) ** 2))), 2 * (x - 200)

    image = np.zeros((2, 2, 3), np.float32)
    taken, _ = run(LBFGS(), cliff, image, 60)
    assert taken[-1][0] == pytest.approx(0, abs=1e-3)

    taken, trials = run(LBFGS(), lambda x: (1.0, np.zeros_like(x)), image, 5)
    assert len(taken) == 1
    assert all((trial == image).all() for trial in trials)


def test_lbfgs_wastes_hardly_an_evaluation_on_pictures(vgg19, temple, harbour):
    content = temple[::2, ::2]
    objective = build_objective(content, harbour[::2, ::2], vgg19)

    def function(image):
        costs, gradient = objective(image)
        return costs.total, gradient

    taken, trials = run(LBFGS(), function, content.copy(), 60)
    assert len(taken) >= 0.9 * len(trials)


@pytest.mark.parametrize("optimizer", [Adam(2.0), LBFGS(5)])
def test_a_state_that_was_saved_goes_on_to_the_same_bits(optimizer):
    image = np.random.default_rng(0).uniform(0, 255, (4, 4, 3)).astype(np.float32)
    function = flat(valley)
    state, kept = optimizer.init(image), None
    for iteration in range(30):
        if iteration == 12:
            kept = pickle.dumps((image, state.saved()))
        image, state = judged(optimizer, function, image, state)
        assert (optimizer.trial(state).numpy() == image).all()
    other, saved = pickle.loads(kept)
    state = optimizer.load(saved)
    for _ in range(12, 30):
        other, state = judged(optimizer, function, other, state)
    assert (image == other).all()


def test_a_state_of_more_pairs_goes_on_with_the_newest():
    image = np.random.default_rng(0).uniform(0, 255, (4, 4, 3)).astype(np.float32)
    function = flat(valley)
    more, fewer = LBFGS(6), LBFGS(5)
    state = more.init(image)
    for _ in range(12):
        image, state = judged(more, function, image, state)
    saved = pickle.loads(pickle.dumps(state.saved()))
    loaded = fewer.load(saved)
    assert len(loaded.saved().pairs) == 5
    for one, other in zip(loaded.saved().pairs, saved.pairs[1:]):
        np.testing.assert_array_equal(one, other)
    for _ in range(12):
        image, loaded = judged(fewer, function, image, loaded)
        assert np.isfinite(image).all()
    assert float(loaded.cost) < saved.cost


def judged(optimizer, function, image, state):
    image, state = optimizer.step(image, *function(image), state)
    return image.numpy(), state


@pytest.mark.parametrize("optimizer", [Adam(2.0), LBFGS(5)])
def test_a_step_changes_nothing_that_it_was_given(optimizer):
    image = np.random.default_rng(0).uniform(0, 255, (4, 4, 3)).astype(np.float32)
    function = flat(valley)
    state = optimizer.init(image)
    for _ in range(12):
        _, gradient = function(image)
        before = pickle.dumps((image, gradient, state.saved()))
        following, after = optimizer.step(image, function(image)[0], gradient, state)
        assert pickle.dumps((image, gradient, state.saved())) == before
        image, state = following.numpy(), after


def test_a_state_that_was_written_over_is_not_saved():
    """An older state of L-BFGS is refused, never saved with the pairs of later ones."""
    optimizer, function = LBFGS(3), flat(valley)
    image = np.random.default_rng(0).uniform(0, 255, (4, 4, 3)).astype(np.float32)
    state, states = optimizer.init(image), []
    for _ in range(12):
        image, state = judged(optimizer, function, image, state)
        states.append(state)
    for state in states[-2:]:  # the last one, and the one before
        pickle.dumps(state.saved())
        state.check()
    assert int(states[-6].curvature.kept) == 3
    with pytest.raises(OverwrittenError, match="two more steps"):
        states[-6].check()
    with pytest.raises(OverwrittenError):
        pickle.dumps(states[-6].saved())


def test_memory_that_was_never_written_is_not_read(monkeypatch):
    def empty(shape, dtype):
        return tf.fill(shape, tf.constant(math.nan, dtype))

    monkeypatch.setattr(tf.raw_ops, "Empty", empty)
    image = np.random.default_rng(0).uniform(0, 255, (4, 4, 3)).astype(np.float32)
    optimizer, function = LBFGS(5), flat(valley)
    state = optimizer.init(image)
    for _ in range(12):
        image, state = judged(optimizer, function, image, state)
        assert np.isfinite(image).all()
    assert int(state.curvature.kept) == 5


def test_products_of_large_pictures_are_exact():
    """Sums of millions of float32 products of one sign lose digits, and pairs fail their check."""
    random = np.random.default_rng(0)
    image, further = (random.uniform(0, 255, (1000, 2000, 3)).astype(np.float32) for _ in range(2))
    gradients = 3 * further - image, image
    moved, change = further - image, gradients[0] - gradients[1]
    state = LBFGS(4).init(image)
    free = tf.ones(image.shape, tf.bool)
    curvature, *_ = state.curvature.add((further, image), gradients, free)
    for product, one, other in (
        (curvature.products.moved[0], moved, moved),
        (curvature.products.moved_change[0, 0], moved, change),
        (curvature.products.changes[0, 0], change, change),
    ):
        exact = np.vdot(one.astype(np.float64), other.astype(np.float64))
        assert float(product) == pytest.approx(exact, rel=2e-5)
    curvature.check()


def array_bytes(value):
    """Bytes of the arrays in a state, an array that is there twice counted once."""
    arrays = {}

    def collect(item):
        if isinstance(item, tf.Tensor):
            arrays[id(item)] = item.numpy().nbytes
        elif isinstance(item, tuple):
            for inner in item:
                collect(inner)

    collect(value)
    return sum(arrays.values())


@pytest.mark.parametrize("word", OPTIMIZERS)
def test_a_state_takes_no_more_memory_than_it_says(word):
    size = (60, 70)
    optimizer = optimizer_class(word).create(Settings(optimizer=word), size)
    image = np.random.default_rng(0).uniform(0, 255, (*size, 3)).astype(np.float32)
    state = optimizer.init(image)
    for _ in range(40):
        image, state = judged(optimizer, flat(quartic), image, state)
    assert isinstance(state.saved(), optimizer.Saved)
    # The image and its gradient are counted with the pictures (nst.engine.forecast).
    pictures = 2 * IMAGE_BYTES * math.prod(size)
    assert array_bytes(state) <= optimizer.state_bytes(size) + pictures


@given(st.tuples(st.integers(1, 50_000), st.integers(1, 50_000)))
def test_large_pictures_have_fewer_pairs(size):
    assert FEWEST_PAIRS <= pairs_kept(size) <= MOST_PAIRS
    assert pairs_kept((size[0] + 1, size[1])) <= pairs_kept(size)


@pytest.fixture(scope="module")
def small_transfer(vgg19, temple, harbour):
    """Return a function that makes a transfer of 48 x 32 pixels."""
    graphs = build_graphs(vgg19, Settings())

    def make(**options):
        pictures = temple[::2, ::2], harbour[::2, ::2]
        evaluation = Evaluation("float32", (WHOLE,))
        return list(
            transfer_style(
                *pictures, vgg19, Settings(**options), evaluation=evaluation, graphs=graphs
            )
        )

    return make


@pytest.mark.parametrize("init", ["noisy_content", "content", "noise", "style"])
def test_lbfgs_stalls_from_no_start(small_transfer, init):
    slow = small_transfer(epochs=40, init=init, learning_rate=10)
    fast = small_transfer(epochs=40, init=init, optimizer="lbfgs")
    assert fast[-1].costs.total < 0.75 * slow[-1].costs.total
    totals = [step.costs.total for step in fast]
    assert totals == sorted(totals, reverse=True)
    assert len(set(totals)) > 0.8 * len(totals)  # nearly every iteration is a step
