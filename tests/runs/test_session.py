"""What all the pictures of a process share is made once."""

import pytest
from PIL import Image

from helpers import QUICK
from nst.engine.stage import Stage
from nst.runs.session import close_session, open_session
from nst.settings import Settings
from nst.vgg import weights

STYLES = ("--style_image_filename", "woodcut_wave.jpg", "mosaic_sun.jpg")


@pytest.fixture
def calls(monkeypatch):
    """The names of counted functions, one for each call."""
    names = []
    for owner, name in ((weights, "load"), (Stage, "sum_tiles")):
        whole = getattr(owner, name)

        def counted(*arguments, name=name, whole=whole, **options):
            names.append(name)
            return whole(*arguments, **options)

        monkeypatch.setattr(owner, name, counted)
    return names


def test_weights_are_read_and_styles_measured_once(nst, photo, tmp_path, calls):
    with Image.open(photo) as image:
        image.rotate(180).save(tmp_path / "other.png")
    close_session()
    command = ("--content_image_filename", photo, "other.png", *STYLES, *QUICK)
    assert nst(*command).code == 0
    assert calls.count("load") == 1
    assert calls.count("sum_tiles") == 2  # of two styles; pictures of one tile need no sums
    assert nst(*command, "--seed", 1).code == 0  # another call in the same process
    assert calls.count("load") == 1
    assert calls.count("sum_tiles") == 2


def test_a_finished_picture_needs_no_weights(nst, pair, finished, calls):
    close_session()
    assert "finished earlier" in nst(*pair, *QUICK).out
    assert calls == []


def test_other_weights_are_another_session():
    file = weights.find(None, "vgg19", print)
    session = open_session(file)
    assert open_session(weights.find(None, "vgg19", print)) is session
    other = weights.WeightsFile(**{**vars(file), "sha256": "0" * 64})
    assert open_session(other) is not session


def test_graphs_are_shared_by_jobs_of_the_same_cost(vgg19):
    from tensorflow import bfloat16, float32

    session = open_session(weights.find(None, "vgg19", print))
    graphs = session.graphs(Settings(), float32)
    assert session.graphs(Settings(seed=3, epochs=5, optimizer="lbfgs"), float32) is graphs
    assert session.graphs(Settings(alpha=11), float32) is not graphs
    assert session.graphs(Settings(), bfloat16) is not graphs
