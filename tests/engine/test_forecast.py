"""Tilings within a memory budget: properties over sizes, budgets and settings; no TensorFlow."""

import itertools
import math
import re

import pytest
from forecast_cases import (
    BUDGETS,
    DTYPE,
    NETWORK,
    ONE_SCALE,
    OPTIONS,
    RESIDENT,
    SCALES,
    SIZES,
    STYLES,
    choose,
    operations_of,
    several,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nst.engine import budget, tiling
from nst.engine.borders import border_width
from nst.engine.forecast import CUTS, TILE_SIZES, choose_tilings, run_seconds
from nst.engine.scales import scale_factors
from nst.engine.tiling import WHOLE, Tiling, grid
from nst.errors import MemoryLimitError
from nst.limits import MemoryLimit
from nst.parsers import memory_size
from nst.settings import Settings
from nst.vgg.layers import layers_up_to

pytestmark = pytest.mark.usefixtures("known_process")


def with_border(chosen, size):
    """The (height, width) that is evaluated for a picture of ``size``."""
    width = border_width(chosen.padding, layers_up_to(NETWORK, chosen.used_layers))
    return size[0] + 2 * width, size[1] + 2 * width


@several
@given(OPTIONS, SCALES, SIZES, STYLES, BUDGETS, DTYPE)
def test_a_choice_keeps_to_the_budget_and_the_tile_size(
    options, count, size, styles, budget, dtype
):
    options = {**options, "scales": count, "max_memory": budget}
    scales = choose(options, size, styles, dtype)
    if scales is None:
        return
    chosen = Settings(**options)
    assert len(scales) == len(scale_factors(chosen, size))
    assert scales[-1].size == size
    for scale in scales:
        assert RESIDENT < scale.memory <= budget
        assert scale.operations > 0
        stages = scale.tiling.stages(layers_up_to(NETWORK, chosen.used_layers))
        if max(scale.tiles) > 3000:  # long lists show no more
            continue
        tiles = [stage.tiles(with_border(chosen, scale.size)) for stage in stages]
        assert scale.tiles == tuple(map(len, tiles))
        if chosen.tile_size:
            step = grid(stages[0].layers)
            largest = math.ceil(chosen.tile_size / step) * step
            for tile in tiles[0]:
                top, left, bottom, right = tile.inside
                assert max(bottom - top, right - left) <= largest


@several
@given(OPTIONS, SIZES, STYLES, st.lists(BUDGETS, min_size=2, max_size=5), DTYPE)
def test_more_memory_is_never_slower(options, size, styles, budgets, dtype):
    slowest = math.inf
    for most in sorted(budgets):
        operations = operations_of(choose({**options, "max_memory": most}, size, styles, dtype))
        assert operations <= slowest
        slowest = operations


def candidates(tile_size):
    """The tilings of two stages that are compared."""
    for first in (tile_size,) if tile_size else TILE_SIZES:
        deeper = [None, *(size for size in TILE_SIZES if size >= first)]
        for cut, second, keep in itertools.product(CUTS, deeper, (True, False)):
            yield Tiling(((cut, first), (None, second)), keep)


@settings(max_examples=15)
@given(OPTIONS, SIZES, BUDGETS, DTYPE)
@example({}, (3000, 4000), 3 * 10**9, "float32")
@example({"tile_size": 300}, (3000, 4000), 4 * 10**9, "float32")
def test_nothing_faster_would_fit(options, size, budget, dtype):
    options = {**options, **ONE_SCALE, "max_memory": budget}
    scales = choose(options, size, [], dtype)
    if scales is None:
        return
    for candidate in candidates(options.get("tile_size")):
        (other,) = choose(options, size, [], dtype, earlier=[candidate])
        assert other.tiling == candidate
        assert other.memory > budget or other.operations >= scales[0].operations


@several
@given(OPTIONS, SIZES, STYLES, BUDGETS, DTYPE)
def test_more_workers_are_never_slower(options, size, styles, budget, dtype):
    options = {**options, "max_memory": budget}
    slowest = math.inf
    for workers in (1, 2, 3, 8):
        operations = operations_of(choose(options, size, styles, dtype, workers=workers))
        assert operations <= slowest * (1 + 1e-9)
        slowest = operations


def test_workers_share_the_tiles():
    options = {"tile_size": 64, "max_memory": "8G"}
    (alone,) = choose(options, (600, 800))
    (shared,) = choose(options, (600, 800), workers=4)
    assert alone.tiles[0] == 130
    assert 0.25 * alone.operations <= shared.operations < 0.5 * alone.operations


def assert_advice_is_enough(options, size, styles, dtype):
    """Refuse a budget; then the one that is advised does, and a little less does not."""
    with pytest.raises(MemoryLimitError) as refusal:
        choose_tilings(Settings(**options, max_memory="200M"), NETWORK, dtype, size, styles)
    (advice,) = re.findall(r"need at least (\S+) of memory", str(refusal.value))
    assert choose({**options, "max_memory": advice}, size, styles, dtype)
    # It is rounded up, with something to spare for what the next process holds before its picture.
    less = int(0.98 * memory_size(advice)) - 10_000_000
    assert not choose({**options, "max_memory": less}, size, styles, dtype)


@several
@given(OPTIONS, SIZES, STYLES, DTYPE)
def test_the_budget_that_is_advised_is_enough(options, size, styles, dtype):
    assert_advice_is_enough(options, size, styles, dtype)


@settings(max_examples=20)
@given(OPTIONS, st.sampled_from([2, 3, "auto"]), SIZES, STYLES, DTYPE)
@example({}, 2, (3000, 4000), [], "float32")
def test_the_budget_that_is_advised_is_enough_for_every_scale(options, count, size, styles, dtype):
    assert_advice_is_enough({**options, "scales": count}, size, styles, dtype)


@several
@given(OPTIONS, SIZES, STYLES, DTYPE)
def test_a_mirrored_border_is_work_to_foretell(options, size, styles, dtype):
    options = {**options, **ONE_SCALE, "max_memory": "900T"}
    mirrored, zeros = (
        choose({**options, "padding": padding}, size, styles, dtype, earlier=[WHOLE])
        for padding in ("reflect", "zeros")
    )
    assert mirrored[0].memory > zeros[0].memory
    assert mirrored[0].operations > zeros[0].operations


@pytest.mark.parametrize("tile_size", [None, 64])
def test_no_list_of_tiles_is_made_to_choose(monkeypatch, tile_size):
    made = []
    build = tiling.Tile
    monkeypatch.setattr(tiling, "Tile", lambda *spans: made.append(spans) or build(*spans))
    options = {"tile_size": tile_size, "max_memory": "30G"}
    (scale,) = choose(options, (9000, 12_000), [((9000, 12_000), 12_000)])
    assert scale.tiles[0] > 1
    assert not made
    (first, *_) = scale.tiling.stages(layers_up_to(NETWORK, ["conv5_1"]))
    tiles = first.tiles(with_border(Settings(**options), scale.size))
    assert len(tiles) == len(made) == scale.tiles[0]  # the counter counts


def test_without_a_limit_the_free_memory_is_the_budget(monkeypatch):
    size = (6000, 6000)
    monkeypatch.setattr(budget, "free_memory", lambda: 10**13)
    (scale,) = choose({}, size)
    assert scale.tiling == WHOLE
    monkeypatch.setattr(budget, "free_memory", lambda: 20 * 10**9)
    for share in (1.0, 0.5):
        (scale,) = choose({}, size, share=share)
        assert scale.tiling != WHOLE
        assert scale.memory <= RESIDENT + share * 20e9
    monkeypatch.setattr(budget, "free_memory", lambda: 0)
    assert choose({}, size) is None


def test_an_earlier_tiling_is_taken_again_where_it_fits(monkeypatch):
    size, earlier = (600, 800), Tiling((("pool2", 64), (None, 128)))
    monkeypatch.setattr(budget, "free_memory", lambda: 10**13)
    (scale,) = choose({}, size)
    assert scale.tiling == WHOLE
    (scale,) = choose({}, size, earlier=[earlier])
    assert scale.tiling == earlier
    monkeypatch.setattr(budget, "free_memory", lambda: 3 * 10**9)
    (scale,) = choose({}, (3000, 3000), earlier=[WHOLE])
    assert scale.tiling != WHOLE
    # A limit that was given is the one that the earlier tiling was chosen for.
    (scale,) = choose({"max_memory": "3G"}, (3000, 3000), earlier=[WHOLE])
    assert scale.tiling == WHOLE


def limited(monkeypatch, unused, name="ulimit -v"):
    """Let some bytes of a limit of 20 GB be unused, in a machine with far more."""
    limit = MemoryLimit(20 * 10**9, unused, name)
    monkeypatch.setattr(budget, "memory_limit", lambda: limit)
    monkeypatch.setattr(budget, "free_memory", lambda: max(0, limit.left))


@pytest.mark.parametrize("options", [{}, {"max_memory": "100G"}])
def test_no_more_than_a_limit_leaves_is_used(monkeypatch, options):
    limited(monkeypatch, 4 * 10**9)
    (scale,) = choose(options, (3000, 3000))
    assert scale.memory <= RESIDENT + 3 * 10**9
    (again,) = choose(options, (3000, 3000), earlier=[WHOLE])  # it would not fit
    assert again == scale


@pytest.mark.parametrize("unused", [-(10**8), 10**8, 10**9])
@pytest.mark.parametrize("options", [{}, {"max_memory": "100G"}])
def test_a_limit_that_is_too_low_is_named_with_one_that_would_do(monkeypatch, unused, options):
    limited(monkeypatch, unused)
    with pytest.raises(MemoryLimitError) as refusal:
        choose_tilings(Settings(**options), NETWORK, "float32", (6000, 6000), [])
    (kilobytes,) = re.findall(r"or raise ulimit -v to (\d+)$", str(refusal.value))
    limited(monkeypatch, unused + 1024 * int(kilobytes) - 20 * 10**9)
    assert choose(options, (6000, 6000))


def test_a_limit_is_not_blamed_for_a_smaller_budget(monkeypatch):
    limited(monkeypatch, 19 * 10**9)
    with pytest.raises(MemoryLimitError, match="use a larger --max_memory"):
        choose_tilings(Settings(max_memory="300M"), NETWORK, "float32", (6000, 6000), [])


def test_seconds_are_operations_at_a_rate():
    chosen = {"scales": 2, "max_memory": "100G"}
    scales = choose(chosen, (600, 800))
    brief, long = (
        run_seconds(scales, Settings(**chosen, epochs=epochs), 1e12) for epochs in (50, 500)
    )
    assert long == pytest.approx(10 * brief, rel=0.1)
    assert run_seconds(scales, Settings(**chosen, epochs=50), 2e12) == pytest.approx(brief / 2)
    alone = run_seconds(scales[1:], Settings(max_memory="100G", epochs=50), 1e12)
    assert brief < alone  # coarse iterations take less
