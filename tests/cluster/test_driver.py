"""Many pictures on a real Ray cluster of two nodes, one of which dies."""

import contextlib
import json

import pytest
from PIL import Image

from helpers import SHALLOW, events, on_step, same_files

pytest.importorskip("ray")
pytestmark = pytest.mark.slow
SMALL = ("--image_size", 64, "--print_every", 5, "--precision", "float32", *SHALLOW)
SMALL = (*SMALL, "--optimizer", "lbfgs")
STYLES = ("--style_image_filename", "woodcut_wave.jpg", "mosaic_sun.jpg")


def logged(outcome):
    """The events that a successful call printed."""
    assert outcome.code == 0, outcome.err
    return [json.loads(line) for line in outcome.out.splitlines()]


class AllReach:
    """Calls ``act`` once, when every one of ``jobs`` has come to iteration 10, which is saved."""

    def __init__(self, jobs, act):
        self.waiting, self.act = set(jobs), act

    def __call__(self, job, iteration):
        if job in self.waiting and iteration >= 10:
            self.waiting.discard(job)
            if not self.waiting:
                self.act()


def test_the_same_picture_under_other_names_and_equal_stems(cluster, nst, photo, tmp_path):
    for number in range(4):
        folder = tmp_path / f"in/{number}"
        folder.mkdir(parents=True)
        with Image.open(photo) as image:
            image.rotate(number // 2 * 180).save(folder / "x.png")  # two and two are the same
    command = ("--content_image_filename", tmp_path / "in", *STYLES[:2], *SMALL, "--epochs", 5)
    last = logged(nst(*command, "--cluster", cluster.address, "--log_json"))[-1]
    assert (last["finished"], last["skipped"]) == (2, 2)
    found = sorted(path.parent.name for path in tmp_path.glob("output/*/generated_image.png"))
    assert found == ["x__woodcut_wave", "x__woodcut_wave-2"]


def test_pictures_of_a_cluster_are_those_made_here_and_outlive_a_node(
    cluster, nst, photo, tmp_path, monkeypatch
):
    epochs = ("--epochs", 60)
    command = ("--content_image_filename", photo, "temple.jpg", *STYLES, *SMALL, *epochs)
    assert nst(*command, "--output_dir", "local").code == 0

    reach = AllReach([1, 2], cluster.lose_second)
    with monkeypatch.context() as patch:
        on_step(patch, lambda task, step: reach(task.number, step.iteration))
        far = ("--output_dir", "far", "--cluster", cluster.address, "--log_json")
        outcome = nst(*command, *far)
    assert not reach.waiting
    assert "its worker is lost; another one goes on after iteration" in outcome.err
    found = logged(outcome)
    assert found[-1]["finished"] == 4
    moved = [event for event in found if event["event"] == "start" and event["goes_on_after"]]
    assert moved[0]["goes_on_after"] >= 10
    same_files(tmp_path / "local", tmp_path / "far")


def test_a_driver_that_dies_goes_on_and_one_that_is_stopped_saves(
    cluster, program, nst, photo, tmp_path
):
    epochs = ("--epochs", 120)
    command = ("--content_image_filename", photo, *STYLES, *SMALL, *epochs)
    far = (*command, "--output_dir", "far", "--cluster", cluster.address, "--log_json")
    assert nst(*command, "--output_dir", "local").code == 0

    for stop, code in (("kill", -9), ("terminate", 143)):
        process = program(*far)
        reach = AllReach([1, 2], getattr(process, stop))
        with contextlib.closing(events(process)) as printed:
            for event in printed:
                if event["event"] == "step":
                    reach(event["job"], event["iteration"])
                if not reach.waiting:
                    break
        _, err = process.communicate(timeout=60)
        assert process.returncode == code, err
        assert len(list((tmp_path / "far").glob("*/checkpoint"))) == 2
    assert err.count("the same command goes on from there") == 2

    starts = [event for event in logged(nst(*far)) if event["event"] == "start"]
    assert len(starts) == 2
    assert min(event["goes_on_after"] for event in starts) >= 10
    same_files(tmp_path / "local", tmp_path / "far")


@pytest.fixture
def broken(tmp_path, photo):
    """A picture whose file ends too early."""
    (tmp_path / "broken.png").write_bytes(photo.read_bytes()[:-200])
    return tmp_path / "broken.png"


def test_an_error_of_one_picture_does_not_stop_the_others(
    program, broken, photo, painting, tmp_path
):
    # A process of its own: one that was on a cluster of its own cannot go back to another.
    command = ("--content_image_filename", broken, photo, "--style_image_filename", painting)
    process = program(*command, *SMALL, "--epochs", 5, "--cluster", "local")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1, err
    assert "broken.png in the style of painting.png  failed" in out
    assert (tmp_path / "output/photo__painting/generated_image.png").exists()


def test_an_error_on_a_worker_does_not_stop_the_others(cluster, nst, broken, photo, painting):
    command = ("--content_image_filename", broken, photo, "--style_image_filename", painting)
    refused = nst(*command, *SMALL, "--cluster", cluster.address, "--max_memory", "200M")
    assert refused.code == 1, refused.err
    assert refused.out.count("failed") == 3
    assert "--max_memory" in refused.out
