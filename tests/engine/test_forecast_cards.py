"""Tilings for a card with memory of its own, and smaller ones where memory ran out."""

import math
import re

import pytest
from forecast_cases import (
    DTYPE,
    NETWORK,
    OPTIONS,
    RESIDENT,
    SCALES,
    SIZES,
    STYLES,
    choose,
    operations_of,
    several,
)
from hypothesis import given
from hypothesis import strategies as st

from nst.engine.budget import USED_SHARE
from nst.engine.evaluation import DTYPES
from nst.engine.forecast import choose_tilings, smaller_tilings
from nst.engine.memory import UNKNOWN, Memory
from nst.engine.tiling import WHOLE
from nst.errors import MemoryLimitError
from nst.options import OPTIMIZERS
from nst.parsers import memory_size
from nst.settings import Settings

pytestmark = pytest.mark.usefixtures("known_process")


CARDS = [4e9, 8e9, 24e9, 80e9]  # bytes
HOSTS = [16e9, 256e9]


def free_card(size, free=0.95):
    """A card of a size in bytes, of which a share is free."""
    return Memory(size, free * size)


@several
@given(
    OPTIONS,
    SCALES,
    SIZES,
    STYLES,
    DTYPE,
    st.sampled_from(HOSTS),
    st.floats(0.1, 1),
    st.floats(0, 2e9),
)
def test_a_plan_fits_the_card_and_more_of_it_is_never_slower(
    host, options, count, size, styles, dtype, host_size, free, held
):
    host(host_size)
    slowest = math.inf
    for total in CARDS:
        card = Memory(total, free * total, held)
        scales = choose({**options, "scales": count}, size, styles, dtype, card=card)
        for scale in scales or ():
            assert 0 < scale.memory <= held + USED_SHARE * free * total
            assert RESIDENT < scale.host_memory <= RESIDENT + USED_SHARE * host_size
        operations = operations_of(scales)
        assert operations <= slowest
        slowest = operations


@several
@given(OPTIONS, SIZES, STYLES, DTYPE, st.sampled_from(CARDS))
def test_a_card_takes_over_memory_of_the_host_and_adds_none(
    host, options, size, styles, dtype, total
):
    """By the same tiles, the host holds less beside a card than alone."""
    host(10**15)
    scales = choose(options, size, styles, dtype, card=free_card(total))
    if scales is None:
        return
    tilings = [scale.tiling for scale in scales]
    alone = choose({**options, "max_memory": "900T"}, size, styles, dtype, earlier=tilings)
    for scale, other in zip(scales, alone):
        assert scale.host_memory < other.memory
        assert other.host_memory is None
        assert scale.operations == other.operations


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("total", CARDS)
def test_fifty_megapixels_on_any_card(host, optimizer, dtype, total):
    """The image and the state of the optimizer must be on it; all else comes by tiles."""
    host(HOSTS[-1])
    size = (5774, 8660)
    if total < (16e9 if optimizer == "lbfgs" else 8e9):
        assert choose({"optimizer": optimizer}, size, [], dtype, card=free_card(total)) is None
        return
    (scale,) = choose({"optimizer": optimizer}, size, [(size, 8660)], dtype, card=free_card(total))
    assert max(scale.tiles) > 1 or total == 80e9
    (alone,) = choose({"optimizer": optimizer}, size, [(size, 8660)], dtype)
    assert alone.tiling == WHOLE  # for the host's memory it would be too large for the card
    assert scale.operations >= alone.operations


@several
@given(OPTIONS, SIZES, STYLES, DTYPE, st.sampled_from(HOSTS))
def test_the_budget_of_a_card_that_is_advised_is_enough(
    host, options, size, styles, dtype, host_size
):
    host(host_size)
    card = free_card(8e9)
    with pytest.raises(MemoryLimitError) as refusal:
        choose_tilings(
            Settings(**options, max_memory="200M"), NETWORK, dtype, size, styles, card=card
        )
    found = re.findall(r"need at least (\S+) of (\S+)", str(refusal.value))
    ((advice, of),) = found
    assert of == "memory"
    assert "on the GPU" in str(refusal.value)
    try:
        scales = choose_tilings(
            Settings(**options, max_memory=advice), NETWORK, dtype, size, styles, card=card
        )
    except MemoryLimitError as other:
        assert "of the host's memory beside the GPU" in str(other)  # another matter
        host(1e15)
        assert choose({**options, "max_memory": advice}, size, styles, dtype, card=card)
    else:
        assert scales[0].memory <= memory_size(advice)


def test_a_host_that_is_too_small_is_named_and_freeing_as_much_as_it_says_is_enough(host):
    size, styles, card = (5774, 8660), [((5774, 8660), 8660)], free_card(80e9)
    host(2e9)
    with pytest.raises(MemoryLimitError) as refusal:
        choose_tilings(Settings(), NETWORK, "bfloat16", size, styles, card=card)
    text = str(refusal.value)
    assert "of the host's memory beside the GPU, the budget is 2.0G" in text
    (least,) = re.findall(r"need at least (\S+) of the host", text)
    host((memory_size(least) - RESIDENT) / USED_SHARE)
    assert choose({}, size, styles, "bfloat16", card=card)


def test_the_share_of_a_worker_is_one_of_the_host_and_all_of_its_card(host):
    host(256e9)
    size = (3000, 4000)
    (alone,), (shared,) = (choose({}, size, card=free_card(8e9), share=s) for s in (1.0, 0.25))
    assert shared == alone
    host(16e9)
    assert choose({}, (5000, 8000), card=free_card(8e9))
    assert choose({}, (5000, 8000), card=free_card(8e9), share=0.25) is None


def test_what_is_not_known_of_a_card_is_not_planned_for(host):
    host(256e9)
    (scale,) = choose({}, (6000, 8000), card=UNKNOWN)
    assert scale.tiling == WHOLE
    (scale,) = choose({"max_memory": "8G"}, (6000, 8000), card=UNKNOWN)
    assert scale.tiling != WHOLE
    assert scale.memory <= 8e9


@several
@given(
    OPTIONS,
    st.sampled_from([1, 2, "auto"]),
    SIZES,
    DTYPE,
    st.sampled_from([None, *CARDS]),
    st.data(),
)
def test_when_memory_runs_out_less_is_taken_until_there_is_no_less(
    host, options, count, size, dtype, total, data
):
    host(10**15)
    card = None if total is None else free_card(total)
    chosen = Settings(**{**options, "scales": count})
    scales = choose({**options, "scales": count}, size, dtype=dtype, card=card)
    if scales is None:
        return
    number = data.draw(st.integers(0, len(scales) - 1))
    kept, plans = scales[:number], 0
    while True:
        smaller = smaller_tilings(
            chosen, NETWORK, dtype, size, [], scales, number, card=card is not None
        )
        if smaller is None:
            break
        assert smaller[:number] == kept
        assert smaller[number].memory < scales[number].memory
        for one, other in zip(smaller, scales):
            assert one.memory <= other.memory
            assert (one.host_memory is None) == (card is None)
        scales, plans = smaller, plans + 1
        assert plans < 60
