"""Jobs and tiles on a real Ray cluster of two nodes, one of which dies."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from conftest import ROOT, pixels, same_files

ray = pytest.importorskip("ray")

pytestmark = pytest.mark.slow
SMALL = ("--image_size", 64, "--print_every", 5, "--precision", "float32", "--optimizer", "lbfgs")
STYLES = ("--style_image_filename", "woodcut_wave.jpg", "mosaic_sun.jpg")


@pytest.fixture
def cluster(monkeypatch):
    """A cluster of two nodes with a processor each; the first is the head."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    made.other = made.add_node(num_cpus=1)
    yield made
    made.shutdown()


def finished(process):
    """Wait for a process that is to succeed; return what it printed."""
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return out, err


def events(process):
    """Yield the events that a process prints with --log_json."""
    for line in process.stdout:
        yield json.loads(line)


def test_the_same_picture_under_other_names_and_equal_stems(cluster, program, photo, tmp_path):
    names = []
    for number in range(4):
        folder = tmp_path / f"in/{number}"
        folder.mkdir(parents=True)
        names.append(folder / "x.png")
        with Image.open(photo) as image:
            image.rotate(number // 2 * 180).save(names[-1])  # two and two are the same
    command = ("--content_image_filename", tmp_path / "in", *STYLES[:2], *SMALL, "--epochs", 5)
    process = program(*command, "--cluster", cluster.address, "--log_json")
    out, _ = finished(process)
    last = json.loads(out.splitlines()[-1])
    assert (last["finished"], last["skipped"]) == (2, 2)
    found = sorted(path.parent.name for path in tmp_path.glob("output/*/generated_image.png"))
    assert found == ["x__woodcut_wave", "x__woodcut_wave-2"]


def wait_for_step(process, jobs):
    """Read events until every one of ``jobs`` has saved a frame."""
    waiting = set(jobs)
    for event in events(process):
        if event["event"] == "step" and event["iteration"] >= 10:
            waiting.discard(event["job"])
        if not waiting:
            return
    raise AssertionError(process.stderr.read())


def test_pictures_of_a_cluster_are_those_made_here_and_outlive_a_node(
    cluster, program, photo, tmp_path
):
    epochs = ("--epochs", 150)
    command = ("--content_image_filename", photo, "temple.jpg", *STYLES, *SMALL, *epochs)
    finished(program(*command, "--output_dir", "local"))

    process = program(*command, "--output_dir", "far", "--cluster", cluster.address, "--log_json")
    wait_for_step(process, [1, 2])
    cluster.remove_node(cluster.other, allow_graceful=False)
    rest, err = finished(process)
    assert "its worker is lost; another one goes on after iteration" in err
    found = [json.loads(line) for line in rest.splitlines()]
    assert found[-1]["finished"] == 4
    moved = [event for event in found if event["event"] == "start" and event["job"] in (1, 2)]
    assert moved[0]["goes_on_after"] >= 10
    same_files(tmp_path / "local", tmp_path / "far")


def test_a_driver_that_dies_goes_on_and_one_that_is_stopped_saves(
    cluster, program, photo, tmp_path
):
    epochs = ("--epochs", 300)
    command = ("--content_image_filename", photo, *STYLES, *SMALL, *epochs)
    far = (*command, "--output_dir", "far", "--cluster", cluster.address, "--log_json")
    finished(program(*command, "--output_dir", "local"))

    process = program(*far)
    wait_for_step(process, [1, 2])
    process.kill()
    process.communicate()
    assert len(list((tmp_path / "far").glob("*/checkpoint"))) == 2

    process = program(*far)
    wait_for_step(process, [1, 2])
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert time.monotonic() - began < 20
    assert err.count("the same command goes on from there") == 2

    process = program(*far)
    out, err = finished(process)
    after = [json.loads(line)["goes_on_after"] for line in out.splitlines() if '"start"' in line]
    assert len(after) == 2
    assert min(after) >= 10
    same_files(tmp_path / "local", tmp_path / "far")


def test_the_tiles_of_one_picture_are_spread_and_outlive_a_node(cluster, program, tmp_path):
    command = ("--image_size", 160, "--tile_size", 64, "--epochs", 12, "--print_every", 4)
    command = (*command, "--precision", "float32")
    finished(program(*command, "--output_dir", "local"))
    process = program(*command, "--output_dir", "far", "--cluster", cluster.address, "--log_json")
    for event in events(process):
        if event["event"] == "step":
            break
    cluster.remove_node(cluster.other, allow_graceful=False)
    _, err = finished(process)
    assert "the tiles are spread over 2 workers" in err
    name = "temple__starlit_harbour/generated_image.png"
    one, other = (pixels(tmp_path / where / name).astype(float) for where in ("local", "far"))
    assert np.abs(one - other).mean() < 0.05


def test_spread_tiles_give_the_same_numbers_as_tiles_evaluated_here(
    cluster, vgg16, temple, harbour
):
    from functools import partial

    from nst.cluster import Cluster
    from nst.objective import Objective
    from nst.pictures import Pictures
    from nst.settings import Settings
    from nst.spread import TileGraphs
    from nst.tile_graph import Graphs
    from nst.tiling import Plan
    from nst_utils import Studio, build_vgg

    settings, plan = Settings(), Plan((("pool2", 32), (None, 48)))
    pictures = Pictures(temple.shape[:2], temple, (harbour,))
    here = Objective(Graphs(build_vgg(vgg16, settings), settings), pictures, plan)
    with Cluster(cluster.address, print) as connected:
        studio = connected.tile_studio(Studio(vgg16.file, vgg16))
        assert studio.workers == 2
        graphs = partial(TileGraphs, connected)(build_vgg(vgg16, settings), settings)
        there = Objective(graphs, pictures, plan)
        for image in (temple, temple[::-1].copy()):
            costs, gradient = here(image)
            far_costs, far_gradient = there(image)
            assert costs == far_costs
            assert np.array_equal(gradient, far_gradient)


def test_an_error_of_one_picture_does_not_stop_the_others(program, photo, painting, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(photo.read_bytes()[:-200])
    command = ("--content_image_filename", broken, photo, "--style_image_filename", painting)
    command = (*command, *SMALL, "--cluster", "local")
    process = program(*command, "--epochs", 5)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1, err
    assert "broken.png in the style of painting.png  failed" in out
    assert (tmp_path / "output/photo__painting/generated_image.png").exists()
    process = program(*command, "--max_memory", "200M")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1, err
    assert out.count("failed") == 3
    assert "--max_memory" in out


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:{free}", "cannot be reached"),
        ("no-such-host.invalid:6379", "cannot be reached"),
        ("somewhere", "is no address"),
        ("127.0.0.1:{open}", "no Ray cluster answers"),
    ],
)
def test_a_cluster_that_cannot_be_reached(program, photo, tmp_path, address, words):
    with socket.create_server(("127.0.0.1", 0)) as server:
        used = server.getsockname()[1]
        with socket.create_server(("127.0.0.1", 0)) as other:
            free = other.getsockname()[1]
        address = address.format(free=free, open=used)
        process = program("--content_image_filename", photo, *SMALL, "--cluster", address)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 8, err
    assert words in err
    assert "Traceback" not in err
    assert not (tmp_path / "output").exists()


def test_without_ray_the_message_tells_what_to_install(photo, tmp_path):
    hidden = "import sys; sys.modules['ray'] = None; import nst_main; sys.exit(nst_main.main())"
    command = [sys.executable, "-c", hidden, "--content_image_filename", photo]
    done = subprocess.run(
        [*command, "--image_size", "40", "--cluster", "local"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 8
    assert "pip install ray" in done.stderr
    assert not (tmp_path / "output").exists()
