"""``--tensorboard``: what is logged, read back by TensorBoard itself."""

import csv
import json
import re
import subprocess
import sys
import threading
import urllib.request

import pytest

from helpers import QUICK, USUAL_STYLE_LAYERS, interrupted, pixels


@pytest.fixture
def events(tmp_path):
    """Read what TensorBoard finds in the run folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def read():
        accumulator = EventAccumulator(str(tmp_path / "output/photo__painting/tensorboard"))
        accumulator.Reload()
        return accumulator

    return read


def test_costs_and_frames_are_logged_for_tensorboard(nst, pair, tmp_path, events):
    import tensorflow as tf

    assert nst(*pair, *QUICK, *USUAL_STYLE_LAYERS, "--tensorboard").code == 0
    logged = events()
    rows = list(
        csv.DictReader((tmp_path / "output/photo__painting/costs.csv").read_text().splitlines())
    )
    for name in ("J", "J_content", "J_style", "J_tv"):
        values = [tf.make_ndarray(event.tensor_proto).item() for event in logged.Tensors(name)]
        assert values == pytest.approx([float(row[name]) for row in rows], rel=1e-6)
    assert "J_style layers/conv3_1" in logged.Tags()["tensors"]
    pictures = logged.Tensors("picture")
    assert [event.step for event in pictures] == [2, 4]
    png = pictures[-1].tensor_proto.string_val[2]
    decoded = tf.io.decode_png(png).numpy()
    assert (decoded == pixels(tmp_path / "output/photo__painting/frame_00004.png")).all()


def test_a_missing_tensorboard_is_a_usage_error(nst, pair, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = nst(*pair, *QUICK, "--tensorboard")
    assert done.code == 2
    assert "pip install tensorboard" in done.err
    assert not (tmp_path / "output").exists()


def test_a_resumed_run_adds_to_the_events(nst, pair, events, monkeypatch):
    command = (*pair, *QUICK, "--tensorboard")
    interrupted(nst, monkeypatch, 3, *command)
    assert "going on after iteration 3" in nst(*command).err
    assert [event.step for event in events().Tensors("J")] == [0, 1, 2, 3, 4]


@pytest.mark.slow
def test_a_real_tensorboard_shows_a_run(nst, pair, visit, tmp_path):
    assert nst(*pair, *QUICK, "--tensorboard").code == 0
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", tmp_path / "output"]
    command += ["--port", "0", "--host", "127.0.0.1", "--load_fast", "false"]
    board = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = threading.Timer(120, board.kill)
    deadline.start()
    try:
        url = next(
            match[0]
            for line in board.stderr
            if (match := re.search(r"http://127.0.0.1:\d+/", line))
        )
        run = "photo__painting/tensorboard"
        with urllib.request.urlopen(f"{url}data/plugin/scalars/tags", timeout=60) as answer:
            assert "J_style" in json.load(answer)[run]
        with urllib.request.urlopen(f"{url}data/plugin/images/tags", timeout=60) as answer:
            assert "picture" in json.load(answer)[run]
        page = visit(url).page
        page.wait_for_selector("text=J_content", timeout=60_000)
        page.wait_for_selector("text=J_style layers", timeout=60_000)
    finally:
        deadline.cancel()
        board.kill()
        board.communicate()
