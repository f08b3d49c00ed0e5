"""How a job is evaluated: the device, the dtype of the convolutions, the tiling of each scale."""

from dataclasses import dataclass
from typing import Any

from nst.engine.devices import CPU
from nst.engine.tiling import Tiling
from nst.parsers import PIXELS, Choice, Number, Optional, switch
from nst.settings import Settings
from nst.vgg.layers import layer_names

DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Evaluation:
    """With the same one, on one machine and with the same versions, a job gives the same bits.

    dtype: of the convolutions, one of DTYPES. tilings: of each scale, coarsest first. max_memory,
    tile_size: the settings that the tilings were chosen for. device: the kind of device that they
    were chosen for, ``nst.engine.devices.Device.device_name``.
    """

    dtype: str
    tilings: tuple[Tiling, ...]
    max_memory: int | None = None
    tile_size: int | None = None
    device: str = CPU.device_name

    def fits(self, settings: Settings, scales: int, device: str = CPU.device_name) -> bool:
        """Whether its tilings can serve a job of ``settings`` with this number of scales."""
        limits = settings.max_memory, settings.tile_size, device
        own = self.max_memory, self.tile_size, self.device
        return limits == own and len(self.tilings) == scales

    def to_json(self) -> dict[str, Any]:
        """The object that stands in ``run.json`` and in checkpoints."""
        return {
            "max_memory": self.max_memory,
            "tile_size": self.tile_size,
            "device": self.device,
            "precision": self.dtype,
            "plans": [
                {"cuts": [list(cut) for cut in tiling.cuts], "keep_content": tiling.keep_content}
                for tiling in self.tilings
            ],
        }

    @classmethod
    def from_json(cls, value: Any) -> "Evaluation":
        """Read what ``to_json`` gave.

        Raises LookupError, TypeError or ValueError for anything else: files may be forged.
        """
        return cls(
            Choice(DTYPES)(value["precision"]),
            tuple(_tiling(item) for item in value["plans"]),
            _limit(value["max_memory"]),
            _limit(value["tile_size"]),
            _text(value.get("device", CPU.device_name)),  # earlier versions name none
        )


def _tiling(value: Any) -> Tiling:
    layer = Optional(Choice(tuple(layer_names("VGG-19"))))
    cuts = tuple((layer(last), Optional(PIXELS)(size)) for last, size in value["cuts"])
    if not cuts or cuts[-1][0] is not None:
        raise ValueError("the last stage must end with the deepest layer")
    return Tiling(cuts, switch(value["keep_content"]))


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("the name of a device must be a text")
    return value


def _limit(value: Any) -> int | None:
    return Optional(Number(int, 1, 10**15))(value)
