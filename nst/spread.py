"""The tiles of one picture, evaluated on the workers of a cluster."""

import collections
import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from nst.settings import Settings
from nst.tile_graph import Graphs, TileGraph
from nst.vgg import VGG

if TYPE_CHECKING:
    from nst.cluster import Cluster


class TileGraphs(Graphs):
    """Graphs whose tiles are evaluated on the workers of a cluster, and summed here in order."""

    def __init__(self, cluster: "Cluster", vgg: VGG, settings: Settings) -> None:
        super().__init__(vgg, settings)
        self._cluster = cluster

    def run(self, graph: TileGraph, name: str, arguments: Iterable[tuple]) -> Iterator[Any]:
        """Yield what a function of a graph returns for the arguments of each tile, in order."""
        arguments = iter(arguments)
        head = list(itertools.islice(arguments, 2))
        if len(head) < 2:
            return super().run(graph, name, head)
        return self._spread(graph, name, itertools.chain(head, arguments))

    def _spread(self, graph: TileGraph, name: str, arguments: Iterable[tuple]) -> Iterator[Any]:
        """Keep every worker busy with one tile and a next one."""
        waiting: collections.deque = collections.deque()
        for of_tile in arguments:
            arrays = tf.nest.map_structure(lambda tensor: tensor.numpy(), of_tile)
            waiting.append((arrays, *self._send(graph, name, arrays)))
            if len(waiting) >= 2 * len(self._cluster.workers):
                yield self._receive(graph, name, *waiting.popleft())
        while waiting:
            yield self._receive(graph, name, *waiting.popleft())

    def _send(self, graph: TileGraph, name: str, arrays: tuple) -> tuple[Any, Any]:
        worker = self._cluster.next_worker()
        key = graph.layers, graph.weights, graph.guided
        number_type = self.vgg.dtype.name
        return worker, worker.tile.remote(self.settings, number_type, key, name, arrays)

    def _receive(
        self, graph: TileGraph, name: str, arrays: tuple, worker: Any, reference: Any
    ) -> Any:
        ray = self._cluster.ray
        while True:
            try:
                found = self._cluster.result(reference)
                return tf.nest.map_structure(tf.constant, found)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            except ray.exceptions.RayError:
                self._cluster.lose(worker)
                worker, reference = self._send(graph, name, arrays)
