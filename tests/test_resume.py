"""A run that stops, however it stops, goes on as if it had never stopped."""

import json
import random
import signal
import time
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import QUICK, interrupted, pixels, same_files, wait_for
from nst.checkpoint import Checkpoint, Checkpoints, DamagedError
from nst.messages import receive, send
from nst.settings import Settings
from nst.tiling import Plan
from nst_utils import transfer_style

LONG = ("--epochs", 1_000_000)
TILED = Plan((("pool2", 16), (None, 32)))


@pytest.fixture(scope="module")
def transfer(vgg16, temple, harbour):
    """Return a function that makes the small real transfer, from a position or from the start."""
    from nst.precision import Precision
    from nst_utils import Graphs, build_vgg, tf

    graphs = {}

    def make(chosen, tiled=False, position=None):
        cost = chosen.tv_weight, chosen.preserve_colors
        if cost not in graphs:
            graphs[cost] = Graphs(build_vgg(vgg16, chosen), chosen)
        return transfer_style(
            temple[:32, :48],
            harbour[:30, :40],
            vgg16,
            chosen,
            chosen=Precision(tf.float32, "", 1.0),
            plans=[TILED] * 9 if tiled else None,
            graphs=graphs[cost],
            position=position,
        )

    return make


def through_a_checkpoint(folder, position, sparse):
    """Save a position, after an earlier one of the same run, and load it again."""
    saved = Checkpoints(folder)
    for each in (*sparse, position):
        saved.save(Checkpoint(each, {"some": "facts"}, b"log"))
    found = Checkpoints(folder).load()
    assert (found.about, found.log) == ({"some": "facts"}, b"log")
    return found.position


@settings(deadline=None, max_examples=15)
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
    )
    steps = list(transfer(chosen, tiled))
    *earlier, stop = sorted(stops)
    folder = tmp_path_factory.mktemp("run")
    sparse = [steps[number].position for number in earlier]
    position = through_a_checkpoint(folder, steps[stop].position, sparse)
    rest = list(transfer(chosen, tiled, position))
    assert [step.iteration for step in rest] == list(range(stop + 1, 13))
    for one, other in zip(steps[stop + 1 :], rest):
        assert one.costs == other.costs
        assert one.scale == other.scale
        assert one.image.tobytes() == other.image.tobytes()


@pytest.mark.parametrize("every", [1, 3, 5])
def test_messages_of_a_worker_carry_every_position_that_is_saved(transfer, every):
    chosen = Settings(optimizer="lbfgs", scales=2, epochs=12, init="noise", print_every=every)
    steps = list(transfer(chosen))
    last, saved = None, []
    for message in send(iter(steps), chosen, 0.0, lambda: False):
        step = receive(message, last)
        if step.position:
            last = step.position
            saved.append(step)
    assert [step.iteration for step in saved] == [*range(every, 12, every), 12]
    for step in saved:
        ours, theirs = steps[step.iteration].position.optimizer, step.position.optimizer
        assert len(ours.pairs) == len(theirs.pairs)
        for one, other in zip(ours.pairs, theirs.pairs):
            assert np.array_equal(one[0], other[0])
            assert np.array_equal(one[1], other[1])


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_checkpoint_is_whole_or_refused(transfer, tmp_path_factory, data):
    chosen = Settings(optimizer="lbfgs", epochs=6, init="noise")
    folder = tmp_path_factory.mktemp("run")
    steps = test_a_checkpoint_is_whole_or_refused.steps = getattr(
        test_a_checkpoint_is_whole_or_refused, "steps", None
    ) or list(transfer(chosen))
    position = through_a_checkpoint(folder, steps[5].position, [steps[3].position])
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
        found = Checkpoints(folder).load()
    except DamagedError:
        return
    if kind == "gone" and path.name == "checkpoint":
        assert found is None
        return
    # What was hit is a date or another part of the file that holds nothing of the run.
    assert found.position.iteration == position.iteration
    for one, other in zip(found.position.optimizer, position.optimizer):
        assert np.array_equal(np.asarray(one), np.asarray(other))


def start(program, *options):
    """Start the program in a process whose signals work, whoever runs the tests (nohup, a job)."""

    def restore():
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

    return program(*options, preexec_fn=restore)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("options", [(), ("--optimizer", "lbfgs", "--scales", 2)])
def test_a_stopped_run_goes_on_bit_for_bit(program, nst, pair, tmp_path, number, options):
    command = (*pair, *QUICK, "--epochs", 120, "--print_every", 20, *options)
    assert nst(*command, "--output_dir", "whole").code == 0
    process = start(program, *command, "--output_dir", "stopped")
    folder = tmp_path / "stopped/photo__painting"
    wait_for(folder / "frame_00020.png", process)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == {signal.SIGINT: 130}.get(number, 143), err
    stopped_at = json.loads((folder / "run.json").read_text())["iterations"]
    assert 20 <= stopped_at < 120
    assert (folder / f"frame_{stopped_at:05}.png").exists()
    again = nst(*command, "--output_dir", "stopped")
    assert again.code == 0
    assert f"going on after iteration {stopped_at} of" in again.err
    assert not list(folder.glob("checkpoint*"))
    same_files(tmp_path / "whole", tmp_path / "stopped")


def test_a_second_signal_stops_at_once(program, tmp_path):
    # Iterations of some seconds.
    process = start(program, "--image_size", "original", "--precision", "float32", *LONG)
    wait_for(tmp_path / "output/temple__starlit_harbour/run.json", process)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - began < 5


@pytest.mark.slow
def test_an_iteration_that_takes_long_is_given_up(program, tmp_path):
    size = ("--alpha", 0, "--image_size", "2600x2000", "--precision", "float32")
    process = start(program, *size, *LONG, "--print_every", 1)
    wait_for(tmp_path / "output/texture__starlit_harbour/run.json", process)
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert time.monotonic() - began < 10
    assert "Traceback" not in err


def test_a_signal_before_anything_is_made_makes_nothing(program, tmp_path):
    process = start(program, "--image_size", 48, *LONG)
    time.sleep(1.5)  # TensorFlow is being loaded
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not list(tmp_path.glob("output/*/frame*"))


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--optimizer", "lbfgs", "--scales", 2), ("--tile_size", 32)])
def test_a_run_that_is_killed_again_and_again_ends_the_same(program, pair, tmp_path, options):
    command = (*pair, *QUICK, "--print_every", 10, "--epochs", 400, *options)
    program(*command, "--output_dir", "whole").communicate(timeout=300)
    chance, checkpoint = random.Random(7), tmp_path / "killed/photo__painting/checkpoint"
    for _ in range(4):
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        process = program(*command, "--output_dir", "killed")
        while process.poll() is None:
            if checkpoint.exists() and checkpoint.stat().st_mtime_ns > before:
                time.sleep(chance.uniform(0, 0.2))
                process.kill()
                break
            time.sleep(0.01)
        _, err = process.communicate()
        assert "Traceback" not in err
        assert before == 0 or "going on after" in err or "finished earlier" in err
        for path in (tmp_path / "killed").rglob("*.png"):
            assert path.name.startswith(".") or pixels(path).shape == (32, 48, 3)
    last = program(*command, "--output_dir", "killed")
    _, err = last.communicate(timeout=300)
    assert last.returncode == 0, err
    same_files(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "of another run"])
def test_a_damaged_checkpoint_is_reported_and_the_run_starts_again(
    nst, pair, tmp_path, monkeypatch, damage
):
    command = (*pair, *QUICK, "--epochs", 12)
    assert nst(*command, "--output_dir", tmp_path / "whole").code == 0
    stopped = (*command, "--output_dir", tmp_path / "stopped")
    interrupted(nst, monkeypatch, 7, *stopped)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "stopped/photo__painting/checkpoint"
    data = path.read_bytes()
    if damage == "of another run":
        other = (*command, "--seed", 5, "--output_dir", tmp_path / "other")
        interrupted(nst, monkeypatch, 7, *other)
        data = (tmp_path / "other/photo__painting/checkpoint").read_bytes()
    flipped = data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1])
    flipped += data[len(data) // 2 + 1 :]
    path.write_bytes({"cut": data[:-50], "flip": flipped, "empty": b""}.get(damage, data))
    cut_short = nst(*stopped, "--dry_run")
    assert cut_short.code == 0
    again = nst(*stopped)
    assert again.code == 0
    assert "an unfinished run is started again: its checkpoint is " in again.err
    same_files(tmp_path / "whole", tmp_path / "stopped")


def test_a_checkpoint_that_cannot_be_read_now_is_kept(nst, pair, tmp_path, monkeypatch):
    command = (*pair, *QUICK, "--epochs", 12, "--output_dir", tmp_path / "stopped")
    interrupted(nst, monkeypatch, 7, *command)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "stopped/photo__painting"
    before = (folder / "checkpoint").read_bytes()

    for problem, code in ((MemoryError(), 6), (OSError(5, "Input/output error"), 5)):
        with mock.patch.object(np, "load", side_effect=problem):
            refused = nst(*command)
        assert refused.code == code
        assert "Traceback" not in refused.err
        assert (folder / "checkpoint").read_bytes() == before
    assert "going on after iteration 7" in nst(*command).err


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_tight_budget_goes_on_with_the_same_tiles(nst, pair, tmp_path, monkeypatch, optimizer):
    command = (*pair, *QUICK, "--epochs", 12, "--optimizer", optimizer, "--max_memory", "20G")
    interrupted(nst, monkeypatch, 7, *command)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nst.plan.resident_before", lambda: 19_900_000_000)  # nothing fits now
    monkeypatch.setattr("nst.runs.foresee", passing_first(monkeypatch))
    again = nst(*command)
    assert again.code == 0, again.err
    assert "by other tiles" not in again.err


def passing_first(monkeypatch):
    """``foresee`` whose first call, before the checkpoint is known, finds room."""
    from nst import runs

    whole, calls = runs.foresee, []

    def foresee(*arguments, **options):
        calls.append(arguments)
        with monkeypatch.context() as patch:
            if len(calls) == 1:
                patch.setattr("nst.plan.resident_before", lambda: 1)
            return whole(*arguments, **options)

    return foresee


def test_other_settings_and_inputs_never_go_on(nst, pair, photo, painting, tmp_path, monkeypatch):
    command = (*pair, *QUICK, "--epochs", 12)
    interrupted(nst, monkeypatch, 7, *command, "--output_dir", tmp_path / "output")
    monkeypatch.chdir(tmp_path)
    other = nst(*command, "--alpha", 11)
    assert "going on" not in other.err
    assert "photo__painting-2" in other.out
    photo.write_bytes(painting.read_bytes())
    changed = nst(*command)
    assert "going on" not in changed.err
    assert "photo__painting-3" in changed.out
    assert (tmp_path / "output/photo__painting/checkpoint").exists()


def test_a_checkpoint_is_due_every_half_minute_of_work(transfer):
    from nst.schedule import Schedule

    schedule = Schedule(print_every=1000)
    (first, *_) = transfer(Settings(epochs=1))
    saved = [
        seconds
        for seconds in range(0, 200, 4)
        if schedule.checkpoint(replace(first, iteration=seconds, epochs=500, seconds=seconds))
    ]
    assert saved == [28, 56, 84, 112, 140, 168, 196]
