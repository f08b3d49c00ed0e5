"""What the workers of a cluster compute on, and how they go on when memory runs out."""

import json
from types import SimpleNamespace

import pytest

from helpers import QUICK
from nst.cluster.connection import Cluster
from nst.errors import UsageError


def node(**resources):
    return {"Alive": True, "Resources": resources}


@pytest.mark.parametrize(
    ("device", "nodes", "places", "shape", "share"),
    [
        ("auto", [node(CPU=8)], 4, {"num_cpus": 2}, 0.25),
        ("auto", [node(CPU=8, GPU=2), node(CPU=4)], 2, {"num_cpus": 1, "num_gpus": 1}, 0.5),
        ("gpu", [node(CPU=8, GPU=4)], 4, {"num_cpus": 1, "num_gpus": 1}, 0.25),
        ("cpu", [node(CPU=8, GPU=2)], 4, {"num_cpus": 2}, 0.25),
    ],
)
def test_what_ray_gives_a_worker(device, nodes, places, shape, share):
    cluster = object.__new__(Cluster)  # without a connection
    cluster.ray, cluster._device = SimpleNamespace(nodes=lambda: nodes), device
    assert cluster._count_places() == places
    assert (cluster._shape, cluster.share) == (shape, share)


def test_a_cluster_without_the_gpu_that_is_asked_for():
    cluster = object.__new__(Cluster)
    cluster.ray, cluster._device = SimpleNamespace(nodes=lambda: [node(CPU=8)]), "gpu"
    with pytest.raises(UsageError, match="no node of the cluster has a GPU; use --device cpu"):
        cluster._count_places()


def test_the_number_of_a_card_is_refused_with_a_cluster(nst, pair):
    refused = nst(*pair, *QUICK, "--cluster", "local", "--device", "gpu:1")
    assert refused.code == 2
    assert "use --device gpu" in refused.err


@pytest.mark.slow
def test_a_worker_goes_on_by_smaller_tiles(cluster, nst, pair, tmp_path, monkeypatch):
    """Its memory runs out once, at the fourth evaluation."""
    from nst.cluster import worker

    program = worker.code()
    program["nst_utils"] += """
_minimise, _turns = minimise, iter(range(10**6))
def minimise(*arguments):
    for found in _minimise(*arguments):
        if next(_turns) == 3:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM", {})
        yield found
"""
    monkeypatch.setattr(worker, "code", lambda: program)
    styles = ("--style_image_filename", pair[3], "mosaic_sun.jpg")
    command = (*pair[:2], *styles, *QUICK, "--epochs", 8, "--print_every", 2)
    outcome = nst(*command, "--cluster", cluster.address)
    assert outcome.code == 0, outcome.err
    assert "ran out on CPU after iteration 2; going on by" in outcome.err
    for name in ("painting", "mosaic_sun"):
        folder = tmp_path / f"output/photo__{name}"
        rows = (folder / "costs.csv").read_text().splitlines()[1:]
        assert [int(row.split(",")[0]) for row in rows] == list(range(9))
    found = [json.loads(path.read_text()) for path in tmp_path.glob("output/*/run.json")]
    assert [2] in [run.get("out_of_memory_after") for run in found]
    assert {run["device"]["name"] for run in found} == {"CPU"}
