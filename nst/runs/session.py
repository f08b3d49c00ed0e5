"""What all the jobs of a process share: device, weights, precision, graphs, measured styles."""

import threading
from collections.abc import Callable
from functools import cached_property, lru_cache

import tensorflow as tf

import nst_utils
from nst.engine import precision
from nst.engine.budget import host_memory
from nst.engine.devices import Device, find_device, is_out_of_memory
from nst.engine.precision import Precision
from nst.engine.tile_graphs import TileGraphs
from nst.errors import MemoryLimitError
from nst.runs import precision_cache
from nst.settings import Settings
from nst.vgg import weights as weight_files
from nst.vgg.weights import Weights, WeightsFile

MOST_COSTS = 4  # whose graphs are kept, each with a copy of the weights

BuildGraphs = Callable[[Weights, Settings, tf.DType], TileGraphs]


class Session:
    """A file of VGG weights and what is derived from it, each part on first use.

    Threads may share it. What one of them makes or measures, the others wait for.

    file: the weights; they are not read before ``weights`` is asked for. device: that evaluates.
    workers: number of processes that share the tiles of a picture.
    """

    def __init__(
        self,
        file: WeightsFile,
        weights: Weights | None = None,
        build_graphs: BuildGraphs = nst_utils.build_graphs,
        workers: int = 1,
        device: Device | None = None,
    ) -> None:
        """Prepare.

        weights: what the file holds, if it was read already. build_graphs:
        ``nst_utils.build_graphs``, or one whose tiles the workers evaluate. device: None for what
        ``--device auto`` means.
        """
        self.file = file
        self.device = device or find_device("auto")
        self.workers = workers
        self._lock = threading.RLock()
        self._build_graphs = build_graphs
        if weights is not None:
            self.weights = weights
        self._precisions: dict[str, Precision] = {}
        self._graphs: dict[tuple, TileGraphs] = {}

    @cached_property
    def weights(self) -> Weights:
        """The weights; raises WeightsError."""
        with self._lock:
            known = self.__dict__.get("weights")  # by another thread meanwhile
            return known or weight_files.load(self.file)

    def precision(self, name: str) -> Precision:
        """Return the precision called ``name``, measured once on a machine, on the device.

        Raises MemoryLimitError if others have taken all of its memory.
        """
        with self._lock:
            if name not in self._precisions:
                try:
                    with self.device.placed():
                        self._precisions[name] = precision.choose(name, precision_cache.rates)
                except Exception as error:
                    if not is_out_of_memory(error):
                        raise
                    raise MemoryLimitError(
                        f"{self.device.title}: has no memory left; free some, or give another "
                        "--device"
                    ) from None
            return self._precisions[name]

    def describe(self, settings: Settings, chosen: Precision | None = None) -> list[str]:
        """Lines for the user: the network, the device and the precision."""
        chosen = chosen or self.precision(settings.precision)
        file = self.file
        memory = self.device.memory() or host_memory()
        return [
            f"Network   {self.weights.network} ({file.source}, SHA-256 {file.sha256[:12]})",
            *(f"          {note}" for note in self.weights.notes),
            f"Device    {self.device.title}, {memory.describe()}",
            f"Precision {chosen.dtype.name} ({chosen.reason})",
        ]

    def graphs(self, settings: Settings, dtype: tf.DType) -> TileGraphs:
        """Return the graphs of ``settings``, the same ones for the same cost."""
        key = dtype, *settings.cost()
        with self._lock:
            if key not in self._graphs:
                if len(self._graphs) >= MOST_COSTS:
                    del self._graphs[next(iter(self._graphs))]  # the oldest
                with self.device.placed():
                    self._graphs[key] = self._build_graphs(self.weights, settings, dtype)
            return self._graphs[key]


def open_session(file: WeightsFile, device: Device | None = None) -> Session:
    """Return the session of a weights file on a device, None for what ``auto`` means.

    It is the same one as long as this process uses no other, in all of its threads.
    """
    with _opening:
        return _open(file, device)


def close_session() -> None:
    """Forget the session of ``open_session``."""
    _open.cache_clear()


_opening = threading.Lock()


@lru_cache(maxsize=1)
def _open(file: WeightsFile, device: Device | None) -> Session:
    return Session(file, device=device)
