"""What all the jobs of a process share: weights, number type, traced graphs, measured styles."""

import json
from collections.abc import Callable
from functools import cached_property

import tensorflow as tf

from nst import precision, weights
from nst.precision import Precision
from nst.settings import Settings
from nst.tile_graph import Graphs
from nst.vgg import VGG
from nst.weights import Weights, WeightsFile


class Studio:
    """One file of VGG weights and what was made with it, each when it is first asked for.

    file: the weights; they are not read before ``network`` is asked for.
    """

    def __init__(
        self,
        file: WeightsFile,
        network: Weights | None = None,
        make_graphs: Callable[[VGG, Settings], Graphs] = Graphs,
        workers: int = 1,
    ) -> None:
        """Prepare.

        network: what the file holds, if it was read already. make_graphs, workers: the kind of
        graphs to use, and among how many processes they spread tiles.
        """
        self.file = file
        self.workers = workers
        self._make_graphs = make_graphs
        if network is not None:
            self.network = network
        self._precisions: dict[str, Precision] = {}
        self._graphs: dict[tuple[tf.DType, str], Graphs] = {}

    @cached_property
    def network(self) -> Weights:
        """The weights; raises WeightsError."""
        return weights.load(self.file)

    def precision(self, name: str) -> Precision:
        """Return the precision called ``name``, tried once."""
        if name not in self._precisions:
            self._precisions[name] = precision.choose(name)
        return self._precisions[name]

    def describe(self, settings: Settings, chosen: Precision | None = None) -> list[str]:
        """Tell a user which network is used, and in which number type."""
        chosen = chosen or self.precision(settings.precision)
        file = self.file
        return [
            f"Network   {self.network.network} ({file.source}, SHA-256 {file.sha256[:12]})",
            f"Precision {chosen.dtype.name} ({chosen.reason})",
        ]

    def graphs(self, settings: Settings, dtype: tf.DType) -> Graphs:
        """Return the graphs of ``settings``, the same ones for the same cost."""
        key = dtype, json.dumps(settings.identity())
        if key not in self._graphs:
            vgg = VGG(self.network, settings.used_layers, settings.pooling, dtype)
            self._graphs[key] = self._make_graphs(vgg, settings)
        return self._graphs[key]
