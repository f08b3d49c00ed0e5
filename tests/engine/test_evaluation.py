"""How a run was evaluated is written as JSON and read again; anything else is refused."""

import copy
import json
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nst.engine.evaluation import DTYPES, Evaluation
from nst.engine.tiling import Tiling
from nst.settings import Settings
from nst.vgg.layers import layer_names

SIZES = st.none() | st.integers(1, 100_000)
CUTS = st.lists(st.tuples(st.sampled_from(layer_names("VGG-19")), SIZES), max_size=3)
TILINGS = st.builds(
    lambda cuts, size, keep: Tiling((*cuts, (None, size)), keep), CUTS, SIZES, st.booleans()
)
EVALUATIONS = st.builds(
    Evaluation,
    dtype=st.sampled_from(DTYPES),
    tilings=st.lists(TILINGS, max_size=4).map(tuple),
    max_memory=st.none() | st.integers(1, 10**14),
    tile_size=SIZES,
    device=st.sampled_from(["CPU", "GPU", "NVIDIA GeForce RTX 3070"]),
)
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["pool2", "conv9_9", "float64", "float32", 10**400, -1, 0, 1e999]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["max_memory", "tile_size", "device", "precision", "plans", "cuts", "ab"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
TODAYS = {
    "max_memory": None,
    "tile_size": 32,
    "device": "CPU",
    "precision": "float32",
    "plans": [{"cuts": [["pool2", 32], [None, 64]], "keep_content": True}],
}


@given(EVALUATIONS)
def test_what_is_written_is_read_again(evaluation):
    assert Evaluation.from_json(json.loads(json.dumps(evaluation.to_json()))) == evaluation


def test_the_runs_of_today_are_read():
    tiling = Tiling((("pool2", 32), (None, 64)), keep_content=True)
    assert Evaluation.from_json(TODAYS) == Evaluation("float32", (tiling,), None, 32)
    assert Evaluation.from_json(TODAYS).to_json() == TODAYS


def test_a_run_of_a_version_that_named_no_device_was_made_on_a_processor():
    named_none = {name: value for name, value in TODAYS.items() if name != "device"}
    assert Evaluation.from_json(named_none) == Evaluation.from_json(TODAYS)


def refused(value):
    """Whether a value is refused; anything but the errors that are declared fails the test."""
    try:
        evaluation = Evaluation.from_json(value)
    except (LookupError, TypeError, ValueError):
        return True
    # What is taken can be evaluated: every tiling ends with the deepest layer.
    assert all(tiling.cuts[-1][0] is None for tiling in evaluation.tilings)
    assert evaluation.dtype in DTYPES
    return False


@given(JUNK)
@example({**TODAYS, "plans": [{"cuts": [], "keep_content": True}]})
@example({**TODAYS, "plans": [{"cuts": [["pool2", 32]], "keep_content": True}]})
@example({**TODAYS, "plans": [{"cuts": [[None, 0]], "keep_content": True}]})
@example({**TODAYS, "plans": [{"cuts": [[None, 32]], "keep_content": 1}]})
@example({**TODAYS, "plans": None})
@example({**TODAYS, "precision": ["float32"]})
@example({**TODAYS, "max_memory": float("inf")})
@example({**TODAYS, "tile_size": True})
@example({**TODAYS, "device": ["CPU"]})
def test_what_was_never_written_is_refused(value):
    assert refused(value)


def paths_into(value, path=()):
    """Paths to everything inside a JSON value."""
    yield path
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from paths_into(inner, (*path, key))


@given(EVALUATIONS, st.data())
def test_a_part_that_is_forged_is_refused_or_taken_for_what_it_says(evaluation, data):
    value = evaluation.to_json()
    path = data.draw(st.sampled_from(list(paths_into(value))))
    forged = [copy.deepcopy(value)]  # of which the first item may be forged as a whole
    *before, last = (0, *path)
    part = forged
    for key in before:
        part = part[key]
    if path and data.draw(st.booleans()):
        del part[last]
    else:
        part[last] = data.draw(JUNK)
    refused(forged[0])


@given(EVALUATIONS, st.integers(1, 4))
def test_it_serves_jobs_with_its_limits_and_scales(evaluation, scales):
    options = Settings(max_memory=evaluation.max_memory, tile_size=evaluation.tile_size)
    device, count = evaluation.device, len(evaluation.tilings)
    assert evaluation.fits(options, scales, device) == (count == scales)
    other = 1 + (evaluation.max_memory or 0)
    assert not evaluation.fits(replace(options, max_memory=other), count, device)
    other = None if evaluation.tile_size else 64
    assert not evaluation.fits(replace(options, tile_size=other), count, device)
    assert not evaluation.fits(options, count, f"another {device}")


@pytest.mark.parametrize("depth", [10, 200])
def test_deeply_nested_values_are_refused(depth):
    value = json.loads("[" * depth + "]" * depth)
    assert refused({**TODAYS, "precision": value})
    assert refused({**TODAYS, "tile_size": value})
