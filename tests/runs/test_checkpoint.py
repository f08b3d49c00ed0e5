"""A position that is saved and loaded again goes on bit for bit; damaged files are refused."""

from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import QUICK, interrupted, same_files
from nst.engine import optimizers
from nst.engine.evaluation import Evaluation
from nst.engine.tiling import WHOLE, Tiling
from nst.options import OPTIMIZERS
from nst.parsers import Choice
from nst.runs import checkpoint
from nst.runs.checkpoint import Checkpoint, Checkpoints, DamagedError
from nst.settings import Settings

EVALUATION = Evaluation("float32", (WHOLE, Tiling((("pool2", 16), (None, 32)))), 10**9, 16)


def through_a_checkpoint(folder, position, *earlier):
    """Save a position, after earlier ones of the same run, and load it again."""
    saved = Checkpoints(folder)
    facts = {"identity": {"some": "facts"}, "versions": {"python": "3"}, "log": b"rows"}
    for each in (*earlier, position):
        saved.save(Checkpoint(each, evaluation=EVALUATION, **facts))
    loaded = Checkpoints(folder).load()
    assert replace(loaded, position=position) == Checkpoint(
        position, evaluation=EVALUATION, **facts
    )
    return loaded.position


@pytest.mark.slow
@settings(deadline=None, max_examples=12)
@given(
    optimizer=st.sampled_from(["adam", "lbfgs"]),
    scales=st.integers(1, 3),
    tiled=st.booleans(),
    colours=st.sampled_from(["none", "luminance"]),
    tv_weight=st.sampled_from([0, 1000]),
    stops=st.lists(st.integers(0, 11), min_size=1, max_size=3, unique=True),
)
def test_from_any_iteration_on_every_bit_is_the_same(
    transfer, tmp_path_factory, optimizer, scales, tiled, colours, tv_weight, stops
):
    chosen = Settings(
        optimizer=optimizer,
        scales=scales,
        preserve_colors=colours,
        tv_weight=tv_weight,
        epochs=12,
        init="noise",
        learning_rate=20,
        content_layers=["conv2_2"],
        style_layers=["conv1_1", "conv2_1"],
    )
    steps = list(transfer(chosen, tiled))
    *earlier, stop = sorted(stops)
    folder = tmp_path_factory.mktemp("run")
    position = through_a_checkpoint(
        folder, steps[stop].position, *(steps[number].position for number in earlier)
    )
    rest = list(transfer(chosen, tiled, position))
    assert [step.iteration for step in rest] == list(range(stop + 1, 13))
    for one, other in zip(steps[stop + 1 :], rest):
        assert one.costs == other.costs
        assert one.scale == other.scale
        assert one.image.tobytes() == other.image.tobytes()


@pytest.fixture(scope="module")
def positions(transfer):
    """The positions of a transfer by L-BFGS."""
    chosen = Settings(optimizer="lbfgs", epochs=6, init="noise")
    return [step.position for step in transfer(chosen)]


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_checkpoint_is_whole_or_refused(positions, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("run")
    position = through_a_checkpoint(folder, positions[5], positions[3])
    path = data.draw(st.sampled_from(sorted(folder.iterdir())))
    whole = path.read_bytes()
    kind = data.draw(st.sampled_from(["flip", "cut", "gone", "zeros"]))
    at = data.draw(st.integers(0, len(whole) - 1))
    if kind == "gone":
        path.unlink()
    else:
        flipped = whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :]
        zeros = whole[:at] + bytes(len(whole) - at)
        path.write_bytes({"flip": flipped, "cut": whole[:at], "zeros": zeros}[kind])
    try:
        loaded = Checkpoints(folder).load()
    except DamagedError:
        return
    if kind == "gone" and path.name == "checkpoint":
        assert loaded is None
        return
    # What was hit is a date or another part of the file that holds nothing of the run.
    assert loaded.position.iteration == position.iteration
    for one, other in zip(loaded.position.state, position.state.saved()):
        assert np.array_equal(np.asarray(one), np.asarray(other))


def test_each_pair_is_written_once(positions, tmp_path):
    saved = Checkpoints(tmp_path)
    written = {}
    for position in positions[1:]:
        saved.save(Checkpoint(position, {}, {}, EVALUATION, b""))
        pairs = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.pairs-*")}
        assert all(pairs[name] == when for name, when in written.items())
        assert len(pairs) <= len(written) + 1
        written = pairs
    arrays = []
    for path in tmp_path.glob("*.pairs-*"):
        with np.load(path) as file:
            arrays += file.files
    assert len(arrays) == len(set(arrays)) == 2 * len(positions[-1].state.saved().pairs) > 0
    saved.remove()
    assert not list(tmp_path.iterdir())


def test_a_position_without_its_state_is_not_saved(positions, tmp_path):
    bare = Checkpoint(replace(positions[2], state=None), {}, {}, EVALUATION, b"")
    with pytest.raises(ValueError, match="without its state"):
        Checkpoints(tmp_path).save(bare)
    assert Checkpoints(tmp_path).load() is None


class MomentumState(NamedTuple):
    """Numbers and arrays, as checkpoints are to save them."""

    velocity: Any
    image: Any
    steps: Any = 0
    rate: Any = 0.1
    accepted: Any = True

    def check(self):
        """It is never written over."""

    def saved(self):
        return optimizers.on_host(self)


@dataclass(frozen=True)
class Momentum:
    """Gradient descent with momentum: an optimizer that the program does not know."""

    Saved = MomentumState

    @classmethod
    def create(cls, chosen, size):
        return cls()

    @staticmethod
    def state_bytes(size):
        return 12 * size[0] * size[1]

    def init(self, image):
        return self.load(MomentumState(tf.zeros_like(image), image))

    def step(self, image, cost, gradient, state):
        velocity = 0.9 * state.velocity - gradient / tf.reduce_max(tf.abs(gradient))
        rate = tf.where(state.steps % 3 > 0, state.rate * 1.1, 1 / 3)
        state = MomentumState(velocity, image, state.steps + 1, rate, state.accepted)
        return self.trial(state), state

    def trial(self, state):
        return tf.clip_by_value(state.image + state.rate * state.velocity, 0, 255)

    def load(self, saved):
        return MomentumState(*map(tf.constant, saved))

    def continue_from(self, image, state):
        return self.init(image)


def test_another_optimizer_needs_a_class_and_its_line(nst, pair, tmp_path, monkeypatch):
    monkeypatch.setattr(optimizers, "Momentum", Momentum, raising=False)
    monkeypatch.setitem(OPTIMIZERS, "momentum", "Momentum")
    # What is made of OPTIMIZERS when the modules are imported:
    (spec,) = (spec for spec in fields(Settings) if spec.name == "optimizer")
    monkeypatch.setattr(spec, "metadata", spec.metadata | {"parse": Choice(tuple(OPTIMIZERS))})
    states = {name: optimizers.optimizer_class(name).Saved for name in OPTIMIZERS}
    monkeypatch.setattr(checkpoint, "STATES", states)

    command = (*pair, *QUICK, "--epochs", 12, "--scales", 2, "--optimizer", "momentum")
    assert nst(*command, "--output_dir", "whole").code == 0
    for after in (3, 10):  # in both scales
        interrupted(nst, monkeypatch, after, *command, "--output_dir", "stopped")
    again = nst(*command, "--output_dir", "stopped")
    assert again.code == 0
    assert "going on after iteration 10" in again.err
    same_files(tmp_path / "whole", tmp_path / "stopped")
