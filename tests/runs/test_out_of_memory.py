"""Memory that runs out in a run: it goes on by smaller tiles, and ends like any other."""

import functools
import json
import os
import signal

import numpy as np
import pytest
import tensorflow as tf

import nst_utils
from helpers import MATCHING, QUICK, interrupted, pixels, run_json, same_files
from nst.engine.objective import Objective
from nst.engine.tiling import WHOLE
from nst.errors import ExitCode

EXHAUSTED = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor", {})
ERRORS = [
    EXHAUSTED,
    MemoryError(),
    tf.errors.AbortedError(None, None, "Operation received an exception:Status: 1, message: x"),
    tf.errors.InternalError(None, None, "std::bad_alloc"),
]
OPTIONS = (*QUICK, "--epochs", 8, "--print_every", 4)
OPTIMIZERS = [(), ("--optimizer", "lbfgs", "--scales", 2), MATCHING]


class Faults:
    """Lets memory run out at the end of chosen iterations, and where chosen targets are measured.

    evaluations, targets: their numbers, from 1, over the run; None for all. tilings: of the
    objectives that were asked for.
    """

    def __init__(self, evaluations=(), targets=(), error=EXHAUSTED, then=lambda: None):
        self.evaluations, self.targets = evaluations, targets
        self.error, self.then = error, then
        self.evaluated, self.tilings = 0, []

    def install(self, patch):
        """Put it into the method, by ``patch(owner, name, value)``."""
        begin, minimise = Objective.__init__, nst_utils.minimise

        def measure(objective, graphs, inputs, tiling, *others):
            self.tilings.append(tiling)
            if self.targets is None or len(self.tilings) in self.targets:
                raise self.error
            begin(objective, graphs, inputs, tiling, *others)

        def evaluate(*arguments):
            for found in minimise(*arguments):
                self.evaluated += 1
                if self.evaluations is None or self.evaluated in self.evaluations:
                    raise self.error
                if self.evaluations and self.evaluated > max(self.evaluations):
                    self.then()
                yield found

        patch(Objective, "__init__", measure)
        patch(nst_utils, "minimise", evaluate)
        return self


@pytest.fixture
def faulty(nst, monkeypatch):
    """Call the command line with faults."""

    def call(faults, *command, stopped_after=None):
        with monkeypatch.context() as patch:
            faults.install(patch.setattr)
            if stopped_after is None:
                return nst(*command)
            return interrupted(nst, monkeypatch, stopped_after, *command)

    return call


def assert_whole(folder, outcome, shortages, shape=(32, 48, 3)):
    """Assert that a run is finished, and tells where memory ran out; return its manifest."""
    assert outcome.code == 0, outcome.err
    assert outcome.err.count("ran out on CPU") == len(shortages)
    found = run_json(folder)
    assert found["status"] == "finished"
    assert found["out_of_memory_after"] == shortages
    assert found["evaluation"]["plans"][-1]["cuts"] != [[None, None]]
    rows = [row.split(",") for row in (folder / "costs.csv").read_text().splitlines()[1:]]
    assert [int(row[0]) for row in rows] == list(range(9))
    seconds = [float(row[2]) for row in rows]
    assert seconds == sorted(seconds)
    assert pixels(folder / "generated_image.png").shape == shape
    assert not list(folder.glob("checkpoint*"))
    return found


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("number", [1, 4])
def test_at_an_evaluation(faulty, pair, tmp_path, made_once, number, error):
    outcome = faulty(Faults({number}, error=error), *pair, *OPTIONS)
    folder = tmp_path / "output/photo__painting"
    last = number - 2 if number > 1 else None
    assert_whole(folder, outcome, [last])
    when = "before the start image" if last is None else f"after iteration {last}; going on by"
    assert when in outcome.err
    undisturbed = made_once(*OPTIONS) / "output/photo__painting/generated_image.png"
    moved = pixels(folder / "generated_image.png").astype(float) - pixels(undisturbed)
    assert np.abs(moved).mean() < 0.05


@pytest.mark.parametrize("options", OPTIMIZERS)
def test_at_the_targets_of_each_scale(faulty, pair, tmp_path, options):
    count = Faults()
    faulty(count, *pair, *OPTIONS, *options, "--output_dir", "count")
    for number in range(1, len(count.tilings) + 1):
        faults = Faults(targets={number})
        outcome = faulty(faults, *pair, *OPTIONS, *options, "--output_dir", f"{number}")
        (last,) = json.loads((tmp_path / f"{number}/photo__painting/run.json").read_text())[
            "out_of_memory_after"
        ]
        assert (last is None) == (number == 1)
        assert_whole(tmp_path / f"{number}/photo__painting", outcome, [last])
        # Scales that were done are not done again.
        assert faults.tilings[: number - 1] == count.tilings[: number - 1]


def test_again_and_again_until_the_smallest_do_not_fit(faulty, pair, tmp_path):
    faults = Faults(None)
    outcome = faulty(faults, *pair, *OPTIONS)
    assert outcome.code == ExitCode.MEMORY
    assert "even by the smallest tiles; use a smaller --image_size" in outcome.err
    assert "Traceback" not in outcome.err
    assert 2 < len(faults.tilings) < 20
    assert len(set(faults.tilings)) == len(faults.tilings)
    found = json.loads((tmp_path / "output/photo__painting/run.json").read_text())
    assert found["status"] == "failed"
    assert found["out_of_memory_after"] == [None] * (len(faults.tilings) - 1)


def test_from_the_whole_to_tiles_to_smaller_tiles(faulty, tmp_path):
    faults = Faults({3, 5, 6})
    outcome = faulty(faults, *OPTIONS, "--image_size", 160)
    folder = tmp_path / "output/temple__starlit_harbour"
    found = assert_whole(folder, outcome, [1, 2, 2], (107, 160, 3))
    assert outcome.err.count("tiles, the first with a halo") >= 1
    assert len(set(faults.tilings)) == 4
    # What is recorded is what it ended with.
    last = [list(cut) for cut in faults.tilings[-1].cuts]
    assert found["evaluation"]["plans"][0]["cuts"] == last
    whole, *tiled = faults.tilings
    assert whole == WHOLE
    assert WHOLE not in tiled


def test_smaller_tiles_than_asked_for(faulty, tmp_path):
    command = ("--image_size", 160, *OPTIONS[2:], "--tile_size", 150)
    outcome = faulty(Faults({2}), *command)
    assert outcome.code == 0, outcome.err
    assert "smaller ones than --tile_size 150" in outcome.err
    found = json.loads((tmp_path / "output/temple__starlit_harbour/run.json").read_text())
    assert found["settings"]["tile_size"] == found["evaluation"]["tile_size"] == 150
    assert found["evaluation"]["plans"][0]["cuts"][0][1] == 128


@pytest.mark.parametrize("options", OPTIMIZERS)
def test_a_run_that_is_stopped_after_it_goes_on_bit_for_bit(faulty, nst, pair, tmp_path, options):
    command = (*pair, *OPTIONS, *options)
    assert faulty(Faults({4}), *command, "--output_dir", "whole").code == 0
    faulty(Faults({4}), *command, "--output_dir", "stopped", stopped_after=5)
    again = nst(*command, "--output_dir", "stopped")
    assert again.code == 0
    assert "going on after iteration 5" in again.err
    assert "by other tiles" not in again.err
    same_files(tmp_path / "whole", tmp_path / "stopped")


def run_out_and_die(number):
    """Let memory run out at an evaluation of this process, and kill it two later."""
    turns = iter([False, True])

    def die():
        if next(turns):
            os.kill(os.getpid(), signal.SIGKILL)

    Faults({number}, then=die).install(setattr)


@pytest.mark.parametrize("options", OPTIMIZERS[:2])
def test_a_run_that_is_killed_right_after_it_goes_on_bit_for_bit(
    faulty, preloaded_program, nst, pair, tmp_path, options
):
    command = (*pair, *OPTIONS, *options)
    assert faulty(Faults({4}), *command, "--output_dir", "whole").code == 0
    before = functools.partial(run_out_and_die, 4)
    killed = preloaded_program(*command, "--output_dir", "killed", before=before)
    _, err = killed.communicate()
    assert killed.returncode == -signal.SIGKILL, err
    again = nst(*command, "--output_dir", "killed")
    assert again.code == 0
    assert "going on after iteration 2" in again.err  # saved when memory ran out
    same_files(tmp_path / "whole", tmp_path / "killed")


def test_a_batch_goes_on_with_each_picture(faulty, photo, painting, tmp_path):
    styles = ("--style_image_filename", painting, "mosaic_sun.jpg")
    command = ("--content_image_filename", photo, *styles, *OPTIONS)
    outcome = faulty(Faults({4}), *command)
    assert outcome.code == 0, outcome.err
    assert outcome.err.count("ran out on CPU after iteration 2") == 1
    first, second = (
        json.loads((tmp_path / f"output/photo__{name}/run.json").read_text())
        for name in ("painting", "mosaic_sun")
    )
    assert first["out_of_memory_after"] == [2]
    assert "out_of_memory_after" not in second


def test_from_python(faulty, monkeypatch, photo, painting, tmp_path):
    from nst_utils import NeuralStyleTransfer

    monkeypatch.chdir(tmp_path)
    said = []
    transfer = NeuralStyleTransfer(
        str(photo), str(painting), image_size=48, epochs=4, precision="float32", device="cpu"
    )
    with monkeypatch.context() as patch:
        Faults({3}).install(patch.setattr)
        assert transfer.run(say=said.append).shape == (32, 48, 3)
    assert [line for line in said if "ran out on CPU after iteration 1" in line]


def test_other_errors_of_tensorflow_stay_what_they_are(faulty, pair):
    error = tf.errors.InvalidArgumentError(None, None, "shapes differ")
    outcome = faulty(Faults({2}, error=error), *pair, *OPTIONS)
    assert outcome.code == ExitCode.BUG
    assert "ran out" not in outcome.err
