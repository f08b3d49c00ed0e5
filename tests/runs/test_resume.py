"""A run that stops, however it stops, goes on as if it had never stopped."""

import json
import random
import signal
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from helpers import MATCHING, QUICK, interrupted, next_event, pixels, same_files, wait_for
from nst.engine.forecast import choose_tilings, resident_before
from nst.settings import Settings

LONG = ("--epochs", 1_000_000)
STOPS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
LARGER = ("--image_size", 128, *QUICK[2:])  # worth tiles
LBFGS = ("--optimizer", "lbfgs", "--scales", 2)
NEIGHBOURS = (*MATCHING, "--scales", 2)


def handle_interrupts():
    """Let SIGINT work in a process, whoever runs the tests (nohup, a job)."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def assert_goes_on(nst, command, folder, whole):
    """Assert that a stopped run is resumed from where it was saved, and ends like a whole one."""
    stopped_at = json.loads((folder / "run.json").read_text())["iterations"]
    assert (folder / f"frame_{stopped_at:05}.png").exists()
    again = nst(*command)
    assert again.code == 0
    assert f"going on after iteration {stopped_at} of" in again.err
    assert not list(folder.glob("checkpoint*"))
    same_files(whole, folder.parent)
    return stopped_at


@pytest.mark.parametrize("number", STOPS)
@pytest.mark.parametrize("options", [(), LBFGS, NEIGHBOURS])
def test_a_stopped_run_goes_on_bit_for_bit(
    nst, pair, tmp_path, monkeypatch, made_once, number, options
):
    options = (*QUICK, "--epochs", 60, "--print_every", 20, *options)
    command = (*pair, *options, "--output_dir", "stopped")
    interrupted(nst, monkeypatch, 33, *command, number=number)
    folder = tmp_path / "stopped/photo__painting"
    assert assert_goes_on(nst, command, folder, made_once(*options) / "output") == 33


@pytest.mark.parametrize(("number", "options"), list(zip(STOPS, [(), LBFGS, ()])))
def test_a_process_that_gets_a_signal_saves_and_ends(
    preloaded_program, nst, pair, tmp_path, made_once, number, options
):
    options = (*QUICK, "--epochs", 120, "--print_every", 20, *options)
    command = (*pair, *options, "--output_dir", "stopped")
    process = preloaded_program(*command)
    folder = tmp_path / "stopped/photo__painting"
    wait_for(folder / "frame_00020.png", process)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == {signal.SIGINT: 130}.get(number, 143), err
    assert 20 <= assert_goes_on(nst, command, folder, made_once(*options) / "output") < 120


def test_a_stopped_call_leaves_the_working_folder_as_it_was(nst, pair, tmp_path, monkeypatch):
    interrupted(nst, monkeypatch, 2, *pair, *QUICK)
    assert Path.cwd() == tmp_path
    assert (tmp_path / "output/photo__painting/checkpoint").exists()


def test_a_second_signal_stops_at_once(preloaded_program, tmp_path):
    # Iterations of some seconds.
    size = ("--image_size", "original", "--precision", "float32")
    process = preloaded_program(*size, *LONG, "--log_json")
    next_event(process, "start")
    process.send_signal(signal.SIGINT)  # alone: exit code 130 and status interrupted
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    run = json.loads((tmp_path / "output/temple__starlit_harbour/run.json").read_text())
    assert run["status"] == "running"


def test_an_iteration_that_takes_long_is_given_up(preloaded_program, tmp_path):
    size = ("--alpha", 0, "--image_size", "2600x2000", "--precision", "float32")
    process = preloaded_program(*size, *LONG, "--print_every", 1, "--log_json")
    next_event(process, "start")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "stopped before anything was saved" in err  # the first iteration was never done
    assert "Traceback" not in err
    run = json.loads((tmp_path / "output/texture__starlit_harbour/run.json").read_text())
    assert run["status"] == "interrupted"


def test_a_signal_before_anything_is_made_makes_nothing(program, tmp_path):
    process = program("--image_size", 48, *LONG, "--log_json", preexec_fn=handle_interrupts)
    next_event(process, "plan")  # TensorFlow is loaded next
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not (tmp_path / "output").exists()


@pytest.mark.slow
@pytest.mark.parametrize("options", [LBFGS, NEIGHBOURS, ("--tile_size", 32)])
def test_a_run_that_is_killed_again_and_again_ends_the_same(
    preloaded_program, nst, pair, tmp_path, made_once, options
):
    options = (*QUICK, "--print_every", 5, "--epochs", 100, *options)
    command = (*pair, *options, "--output_dir", "killed")
    chance, checkpoint = random.Random(7), tmp_path / "killed/photo__painting/checkpoint"
    for _ in range(4):
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        process = preloaded_program(*command)

        def saved(before=before, process=process):
            newer = checkpoint.exists() and checkpoint.stat().st_mtime_ns > before
            return newer or process.poll() is not None  # it may also have finished

        wait_for(saved)
        time.sleep(chance.uniform(0, 0.2))  # so that any moment of its work is hit
        process.kill()
        _, err = process.communicate()
        assert "Traceback" not in err
        assert before == 0 or "going on after" in err or "finished earlier" in err
        for path in (tmp_path / "killed").rglob("*.png"):
            assert path.name.startswith(".") or pixels(path).shape == (32, 48, 3)
    last = nst(*command)
    assert last.code == 0, last.err
    same_files(made_once(*options) / "output", tmp_path / "killed")


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "of another run"])
def test_a_damaged_checkpoint_is_reported_and_the_run_starts_again(
    nst, pair, tmp_path, monkeypatch, made_once, damage
):
    options = (*QUICK, "--epochs", 12)
    stopped = (*pair, *options, "--output_dir", "stopped")
    interrupted(nst, monkeypatch, 7, *stopped)
    path = tmp_path / "stopped/photo__painting/checkpoint"
    data = path.read_bytes()
    if damage == "of another run":
        other = (*pair, *options, "--seed", 5, "--output_dir", "other")
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
    same_files(made_once(*options) / "output", tmp_path / "stopped")


def test_a_checkpoint_that_cannot_be_read_now_is_kept(nst, pair, tmp_path, monkeypatch):
    command = (*pair, *QUICK, "--epochs", 12, "--output_dir", "stopped")
    interrupted(nst, monkeypatch, 7, *command)
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
def test_a_tight_budget_goes_on_with_the_same_tiles(nst, tmp_path, monkeypatch, optimizer):
    (whole,), (tiled,) = (
        choose_tilings(
            Settings(optimizer=optimizer, **tile_size),
            "VGG-19",
            "float32",
            (85, 128),
            [((96, 128), 128)],
        )
        for tile_size in ({}, {"tile_size": 32})
    )
    budget = round(whole.memory + 1e6)
    command = (*LARGER, "--optimizer", optimizer, "--max_memory", budget)
    finished = nst(*command, "--output_dir", "whole")
    assert "the whole picture at once" in finished.err
    interrupted(nst, monkeypatch, 2, *command, "--output_dir", "stopped")

    # Now the process holds so much more that only small tiles fit.
    held = resident_before() + round(whole.memory - tiled.memory)
    monkeypatch.setattr("nst.engine.forecast.resident_before", lambda: held)
    assert "tiles, the first with a halo" in nst(*command, "--seed", 5, "--dry_run").err
    again = nst(*command, "--output_dir", "stopped")
    assert again.code == 0, again.err
    assert "going on after iteration 2" in again.err
    assert "by other tiles" not in again.err
    same_files(tmp_path / "whole", tmp_path / "stopped")


def test_other_limits_go_on_with_other_tiles_and_say_so(nst, monkeypatch):
    interrupted(nst, monkeypatch, 2, *LARGER)
    again = nst(*LARGER, "--tile_size", 32)
    assert again.code == 0
    assert "going on after iteration 2" in again.err
    assert "by other tiles than before" in again.err


def test_other_settings_and_inputs_never_go_on(nst, pair, photo, painting, tmp_path, monkeypatch):
    command = (*pair, *QUICK, "--epochs", 12)
    interrupted(nst, monkeypatch, 7, *command)
    other = nst(*command, "--alpha", 11)
    assert "going on" not in other.err
    assert "photo__painting-2" in other.out
    photo.write_bytes(painting.read_bytes())
    changed = nst(*command)
    assert "going on" not in changed.err
    assert "photo__painting-3" in changed.out
    assert (tmp_path / "output/photo__painting/checkpoint").exists()
