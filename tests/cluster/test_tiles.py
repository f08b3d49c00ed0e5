"""The tiles of one picture, spread over a real Ray cluster of two nodes, one of which dies."""

import numpy as np
import pytest

from helpers import on_step, pixels
from nst.cluster.connection import Cluster
from nst.cluster.tiles import tile_session
from nst.engine.inputs import TransferInputs
from nst.engine.objective import Objective
from nst.engine.tiling import Tiling
from nst.runs.session import Session
from nst.settings import Settings
from nst_utils import build_graphs, tf

pytest.importorskip("ray")
pytestmark = pytest.mark.slow


def test_spread_tiles_give_the_same_numbers_as_tiles_evaluated_here(
    cluster, vgg19, temple, harbour
):
    settings, tiling = Settings(), Tiling((("pool2", 32), (None, 48)))
    inputs = TransferInputs(temple.shape[:2], temple, (harbour,))
    here = Objective(build_graphs(vgg19, settings), inputs, tiling)
    with Cluster(cluster.address, print) as connected:
        session = tile_session(connected, Session(vgg19.file, vgg19))
        assert session.workers == 2
        there = Objective(session.graphs(settings, tf.float32), inputs, tiling)
        for image in (temple, temple[::-1].copy()):
            costs, gradient = here(image)
            far_costs, far_gradient = there(image)
            assert costs == far_costs
            assert np.array_equal(gradient, far_gradient)


def test_the_tiles_of_one_picture_are_spread_and_outlive_a_node(
    cluster, nst, tmp_path, monkeypatch
):
    command = ("--image_size", 160, "--tile_size", 64, "--epochs", 6, "--print_every", 2)
    command = (*command, "--precision", "float32")
    assert nst(*command, "--output_dir", "local").code == 0

    def lose_node(task, step):
        if step.iteration == 1:
            cluster.lose_second()

    with monkeypatch.context() as patch:
        on_step(patch, lose_node)
        far = nst(*command, "--output_dir", "far", "--cluster", cluster.address)
    assert far.code == 0, far.err
    assert "the tiles are spread over 2 workers" in far.err
    name = "temple__starlit_harbour/generated_image.png"
    one, other = (pixels(tmp_path / where / name).astype(float) for where in ("local", "far"))
    assert np.abs(one - other).mean() < 0.05
