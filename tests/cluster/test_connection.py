"""A cluster that cannot be reached, and a machine without Ray."""

import importlib.util
import socket
import sys

import pytest

from helpers import QUICK
from nst.cluster import connection

needs_ray = pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="needs ray")


@needs_ray
@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:{free}", "cannot be reached"),
        ("no-such-host.invalid:6379", "cannot be reached"),
        ("somewhere", "is no address"),
        ("127.0.0.1:{open}", "no Ray cluster answers"),
    ],
)
def test_a_cluster_that_cannot_be_reached(nst, pair, tmp_path, monkeypatch, address, words):
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        used = server.getsockname()[1]
        with socket.create_server(("127.0.0.1", 0)) as other:
            free = other.getsockname()[1]
        address = address.format(free=free, open=used)
        outcome = nst(*pair, *QUICK, "--cluster", address)
    assert outcome.code == 8, outcome.err
    assert words in outcome.err
    assert "Traceback" not in outcome.err
    assert not (tmp_path / "output").exists()


def test_without_ray_the_message_tells_what_to_install(nst, pair, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    outcome = nst(*pair, *QUICK, "--cluster", "local")
    assert outcome.code == 8
    assert "pip install ray" in outcome.err
    assert not (tmp_path / "output").exists()
