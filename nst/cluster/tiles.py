"""The tiles of one picture, evaluated on the workers of a cluster."""

import collections
import itertools
import time
from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow as tf

import nst_utils
from nst.cluster.connection import LOOK_SECONDS, WAIT_SECONDS, Cluster
from nst.engine.tile_graph import TileGraph
from nst.engine.tile_graphs import TileGraphs
from nst.runs.session import Session
from nst.settings import Settings
from nst.text import count_text
from nst.vgg.weights import Weights

MOST_TILE_WORKERS = 64


def tile_session(cluster: Cluster, session: Session) -> Session:
    """Start all the workers that there is room for; return a session that shares tiles with them.

    Waits for the first one as long as it takes, and for others for WAIT_SECONDS.
    """
    began = time.monotonic()
    cluster.hire(session.weights, MOST_TILE_WORKERS)
    while cluster.starting and not (cluster.workers and time.monotonic() - began > WAIT_SECONDS):
        cluster.ready(LOOK_SECONDS)
        cluster.has_head()
        cluster.report_waiting()
    workers = len(cluster.workers)
    cluster.say(f"Cluster   the tiles are spread over {count_text(workers, 'worker')}")

    def build_graphs(weights: Weights, settings: Settings, dtype: tf.DType) -> TileGraphs:
        return ClusterTileGraphs(cluster, weights, settings, dtype)

    return Session(
        session.file, session.weights, build_graphs, max(1, workers), device=session.device
    )


class ClusterTileGraphs(TileGraphs):
    """Graphs whose tiles are evaluated on the workers of a cluster, and summed here in order."""

    def __init__(
        self, cluster: Cluster, weights: Weights, settings: Settings, dtype: tf.DType
    ) -> None:
        graphs = nst_utils.build_graphs(weights, settings, dtype)
        super().__init__(graphs.network, graphs.total_cost, graphs.border)
        self._settings = settings
        self._cluster = cluster

    def run(self, graph: TileGraph, name: str, arguments: Iterable[tuple]) -> Iterator[Any]:
        """Yield what a function of a graph returns for the arguments of each tile, in order."""
        arguments = iter(arguments)
        head = list(itertools.islice(arguments, 2))
        if len(head) < 2:
            return super().run(graph, name, head)
        return self._run_on_workers(graph, name, itertools.chain(head, arguments))

    def _run_on_workers(
        self, graph: TileGraph, name: str, arguments: Iterable[tuple]
    ) -> Iterator[Any]:
        """Keep every worker busy with one tile and a next one."""
        waiting: collections.deque = collections.deque()
        for tile_arguments in arguments:
            arrays = tf.nest.map_structure(lambda tensor: tensor.numpy(), tile_arguments)
            waiting.append((arrays, *self._send(graph, name, arrays)))
            if len(waiting) >= 2 * len(self._cluster.workers):
                yield self._receive(graph, name, *waiting.popleft())
        while waiting:
            yield self._receive(graph, name, *waiting.popleft())

    def _send(self, graph: TileGraph, name: str, arrays: tuple) -> tuple[Any, Any]:
        worker = self._cluster.next_worker()
        dtype = self.network.dtype.name
        return worker, worker.tile.remote(self._settings, dtype, graph.key, name, arrays)

    def _receive(
        self, graph: TileGraph, name: str, arrays: tuple, worker: Any, reference: Any
    ) -> Any:
        """The result of a tile; if its worker is lost, another one evaluates it again."""
        ray = self._cluster.ray
        while True:
            try:
                return tf.nest.map_structure(tf.constant, self._cluster.result(reference))
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            except ray.exceptions.RayError:
                self._cluster.lose(worker)
                worker, reference = self._send(graph, name, arrays)
