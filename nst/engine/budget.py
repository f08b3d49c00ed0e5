"""How much memory a job may use on the device that evaluates and on the host."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import psutil

from nst.engine.memory import Memory
from nst.engine.tiling import Tiling
from nst.errors import MemoryLimitError
from nst.limits import free_memory, memory_limit
from nst.settings import Settings
from nst.text import memory_option, memory_text

Size = tuple[int, int]  # (height, width) in pixels

USED_SHARE = 0.9  # of the free memory is used


@dataclass(frozen=True)
class Budget:
    """Bytes that may be used: on the device that evaluates, and on the host beside a card.

    most: the limit of the device, whatever ``max_memory`` says; beyond it the process may be
    killed.
    """

    device: float
    host: float = math.inf
    most: float = math.inf

    @property
    def kept(self) -> "Budget":
        """The budget for the tilings of an earlier run with the same ``max_memory``."""
        return replace(self, device=self.most)

    def admits(self, device: float, host: float | None) -> bool:
        """Whether so many bytes on the device and on the host are within the budget."""
        return device <= self.device and (host or 0.0) <= self.host


@dataclass(frozen=True)
class ScaleForecast:
    """A tiling of one scale, and the memory and work that it takes.

    size: (height, width) of the scale. tiles: number of tiles of each stage. halo: of the first
    stage, in pixels. memory: peak in bytes on the device that evaluates. operations:
    multiplications and additions of one evaluation; of several workers, those of the busiest.
    preparation: multiplications and additions that are done once, before the first evaluation.
    host_memory: peak in bytes on the host beside a card that evaluates; None if the host evaluates.
    """

    tiling: Tiling
    size: Size
    tiles: tuple[int, ...]
    halo: int
    memory: float
    operations: float
    preparation: float = 0.0
    host_memory: float | None = None

    def is_within(self, budget: Budget) -> bool:
        """Whether its memory is within a budget."""
        return budget.admits(self.memory, self.host_memory)


def find_budget(settings: Settings, share: float, card: Memory | None) -> Budget:
    """The budget of ``settings``.

    share, card: those of ``nst.engine.forecast.choose_tilings``.
    """
    host, limit = host_memory(), memory_limit()
    assert host.free is not None  # it is known
    share *= USED_SHARE
    of_host = host.held + share * host.free
    if card is None:
        most = host.held + share * limit.left if limit else math.inf
        return Budget(min(settings.max_memory or of_host, most), most=most)
    of_card = math.inf  # of a card whose free memory is not known
    if card.free is not None:
        of_card = card.held + USED_SHARE * card.free
    return Budget(settings.max_memory or of_card, of_host)


def host_memory() -> Memory:
    """Memory of the host: what is free, and what this process holds."""
    total = psutil.virtual_memory().total
    return Memory(total, free_memory(), psutil.Process().memory_info().rss)


def refusal(
    settings: Settings,
    refused: Sequence[ScaleForecast],
    budget: Budget,
    share: float,
    card: Memory | None,
) -> MemoryLimitError:
    """The error for a picture of which no tiling fits at some scales, with what would do.

    refused: the forecasts of these scales.
    """
    largest = max(refused, key=lambda scale: scale.memory)
    limit, held, share = memory_limit(), host_memory().held, share * USED_SHARE
    if largest.memory <= budget.device:
        largest = max(refused, key=lambda scale: scale.host_memory or 0.0)
        height, width = largest.size
        needed = largest.host_memory or 0.0
        more = limit.advice((needed - held) / share) if limit else "free some memory"
        return MemoryLimitError(
            f"{width} x {height} pixels need at least {memory_option(needed)} of the host's memory "
            f"beside the GPU, the budget is {memory_text(budget.host)}; use a smaller "
            f"--image_size, or {more}"
        )
    height, width = largest.size
    more = "use a larger --max_memory"
    if limit and largest.memory > budget.most:
        more = limit.advice((largest.memory - held) / share)
    where = "of memory" if card is None else "of memory on the GPU"
    other = ", or drop --tile_size" if settings.tile_size else ""
    other += "" if card is None else ", or use --device cpu"
    return MemoryLimitError(
        f"{width} x {height} pixels need at least {memory_option(largest.memory)} {where}, "
        f"the budget is {memory_text(budget.device)}; use a smaller --image_size, or {more}{other}"
    )
