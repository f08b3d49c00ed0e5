"""The dtype of the convolutions: as asked for, or by a measurement."""

import pytest
import tensorflow as tf

from nst.engine import precision


def machine(**rates):
    """The measurement of a machine that does so many operations a second, {name: rate}."""
    return lambda *dtypes: [rates[dtype.name] for dtype in dtypes]


@pytest.mark.parametrize(
    ("times_as_fast", "chosen"),
    [(0.1, "float32"), (1.0, "float32"), (1.25, "float32"), (1.35, "bfloat16"), (4.0, "bfloat16")],
)
def test_auto_takes_bfloat16_where_it_is_clearly_faster(times_as_fast, chosen):
    rates = {"float32": 2e11, "bfloat16": times_as_fast * 2e11}
    found = precision.choose("auto", machine(**rates))
    assert found.dtype.name == chosen
    assert found.rate == rates[chosen]
    assert f"{times_as_fast:.1f} times as fast" in found.reason


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_a_precision_that_is_asked_for_is_taken_whatever_is_faster(name):
    found = precision.choose(name, machine(float32=3.0, bfloat16=4.0, float16=5.0))
    assert (found.dtype.name, found.reason) == (name, "as asked for")
    assert found.rate == {"float32": 3.0, "bfloat16": 4.0, "float16": 5.0}[name]


def test_the_rate_is_the_work_by_the_best_time(monkeypatch):
    """By a clock on which bfloat16 takes half a second and float32 one, but for some rounds."""
    now, calls = [0.0], []
    slow = (5, 6, 2 * precision.ROUNDS - 1, 2 * precision.ROUNDS)

    def work(dtype):
        def call():
            calls.append(dtype)
            seconds = 1.0 if dtype == tf.float32 else 0.5
            now[0] += 7 * seconds if len(calls) in slow else seconds
            return tf.zeros(())

        return call

    monkeypatch.setattr(precision, "_work", work)
    monkeypatch.setattr(precision.time, "perf_counter", lambda: now[0])
    found = precision.choose("auto")
    assert found.dtype == tf.bfloat16
    operations = 2 * 40 * 40 * 9 * 256 * 256  # of a convolution, and as many of its gradient
    assert found.rate == pytest.approx(2 * operations / 0.5)
    assert calls[::2] == [tf.float32] * (len(calls) // 2)  # they take turns
    assert calls[1::2] == [tf.bfloat16] * (len(calls) // 2)


def test_a_real_machine_is_measured():
    found = precision.choose("auto")
    assert 1e7 < found.rate < 1e16
    assert found.reason.startswith("auto: ")
