"""The graphs of one network and one total cost, and the styles that they have measured."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from nst.engine.cost_protocols import TotalCost
from nst.engine.tile_graph import ByTerm, Network, TileGraph

MOST_STYLES = 64  # kept in memory, some 2 MB each


class TileGraphs:
    """The graphs of one network and one total cost, each made when it is first asked for.

    Threads may share them. What one of them makes or measures, the others wait for.
    """

    def __init__(self, network: Network, total_cost: TotalCost, border: int = 0) -> None:
        """Prepare. border: pixels around each picture that are in no cost (``borders``)."""
        for terms in (total_cost.terms, total_cost.last_terms):
            keys = [term.key for term in terms]
            if len(set(keys)) < len(keys):
                raise ValueError(f"two terms of a kind in one layer: {', '.join(keys)}")
        self.network = network
        self.total_cost = total_cost
        self.border = border
        self._lock = threading.RLock()
        self._graphs: dict[tuple, TileGraph] = {}
        self._compiled: dict[tuple, Callable] = {}
        self._styles: dict[tuple, ByTerm] = {}
        self._features: tuple[tuple, Any] | None = None

    def graph(
        self,
        layers: Sequence[str],
        region_weights: tuple[float, ...],
        guided: bool,
        last_pass: bool = False,
        position_guides: bool = False,
    ) -> TileGraph:
        """Return the graph of consecutive layers; arguments as of TileGraph.

        last_pass: with the terms of the last pass.
        """
        key = tuple(layers), region_weights, guided, last_pass, position_guides
        with self._lock:
            if key not in self._graphs:
                self._graphs[key] = TileGraph(self.network, self.total_cost, *key)
            return self._graphs[key]

    def compiled(self, key: tuple, make: Callable[[], Callable]) -> Callable:
        """Return the graph of a function of tensors, of any shapes, traced once for each key."""
        with self._lock:
            if key not in self._compiled:
                self._compiled[key] = Compiled(make(), self._lock)
            return self._compiled[key]

    def run(self, graph: TileGraph, name: str, arguments: Iterable[tuple]) -> Iterator[Any]:
        """Yield what the function ``name`` of a graph returns for each tile's arguments, in order.

        A subclass may evaluate the tiles elsewhere.
        """
        call = getattr(graph, name)
        return (call(*tile_arguments) for tile_arguments in arguments)

    def style_means(self, key: tuple, measure: Callable[[], ByTerm]) -> ByTerm:
        """Return the means of a style, measured once for all pictures in the same style."""
        with self._lock:
            if key not in self._styles:
                if len(self._styles) >= MOST_STYLES:
                    del self._styles[next(iter(self._styles))]  # the oldest
                self._styles[key] = measure()
            return self._styles[key]

    def features(self, key: tuple, measure: Callable[[], Any]) -> Any:
        """Return features of styles, large, of which only the latest are kept."""
        with self._lock:
            if self._features is None or self._features[0] != key:
                self._features = None  # free their memory
                self._features = key, measure()
            return self._features[1]


class Compiled:
    """A graph that is traced when it is first called, for arguments of any height and width.

    Of an image (H, W, 3), and of activations, the channels are known to the graph.
    """

    def __init__(self, function: Callable, lock: threading.RLock) -> None:
        self._function = tf.function(function, autograph=False)
        self._graph: Callable | None = None
        self._lock = lock

    def __call__(self, *arguments: Any) -> Any:
        with self._lock:  # of threads, one traces it
            if self._graph is None:
                specs = tf.nest.map_structure(_any_size, arguments)
                self._graph = self._function.get_concrete_function(*specs)
        return self._graph(*arguments)


def _any_size(tensor: tf.Tensor) -> tf.TensorSpec:
    """The spec of tensors that differ in size, but for the channels of images and activations."""
    rank = tensor.shape.rank
    known = tensor.shape[-1] if rank in (3, 4) else None
    return tf.TensorSpec([None] * (rank - 1) + [known] if rank else [], tensor.dtype)
