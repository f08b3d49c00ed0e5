"""Milliseconds to choose the tilings of a picture, against building the tiles of every candidate.

For each size the budget lies half-way between the whole picture at once and the tiling that needs
least memory, so that every candidate has to be compared, for the picture and for a style of the
same size. The baseline makes the same choice, in the same process, but builds the list of tiles of
every candidate and adds up what they read. Caches are emptied before every call, and the garbage
collector waits, which walks through all objects of TensorFlow. The aim is less than 50 ms for any
size.

    python benchmarks/forecast.py [--image_size 400 3000 30000] [--repeats 20] [--json FILE]
"""

import argparse
import gc
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

from common import machine, report

from nst.engine.budget import ScaleForecast
from nst.engine.forecast import CUTS, TILE_SIZES, choose_tilings
from nst.engine.scales import scale_factors
from nst.engine.tiling import WHOLE, Span, SpanTotals, StageTiling, Tiling, span_totals, spans
from nst.settings import Settings

NETWORK, DTYPE = "VGG-19", "float32"
SIZES = (400, 800, 1600, 3000, 6000, 12000, 20000, 30000)
ENOUGH = 10**15  # bytes

Size = tuple[int, int]


def choose(settings: Settings, size: Size, earlier: Sequence[Tiling] = ()) -> list[ScaleForecast]:
    """Tilings for a picture and a style of the same size."""
    return choose_tilings(settings, NETWORK, DTYPE, size, [(size, max(size))], earlier)


def candidates() -> list[Tiling]:
    """Every tiling that is compared where no tile size is given."""
    return [WHOLE] + [
        Tiling(((cut, size), (None, deeper)), keep)
        for keep in (True, False)
        for cut in CUTS
        for size in TILE_SIZES
        for deeper in (None, *TILE_SIZES)
        if deeper is None or deeper >= size
    ]


def budget(settings: dict[str, Any], size: Size) -> int:
    """Bytes half-way between the whole picture at once and the least that tiles can do with."""
    fixed = Settings(**settings, max_memory=ENOUGH)  # every tiling fits
    scales = len(scale_factors(fixed, size))
    memory = [
        max(scale.memory for scale in choose(fixed, size, [candidate] * scales))
        for candidate in candidates()
    ]
    return int((memory[0] + min(memory)) / 2)


class TileLists:
    """The baseline: the totals of a stage out of the list of all its tiles."""

    def __init__(self) -> None:
        self.tiles = 0  # built

    def span_totals(self, stage: StageTiling, size: Size) -> tuple[SpanTotals, SpanTotals]:
        """In place of ``StageTiling.span_totals``, with the same result."""
        tiles = stage.tiles(size)
        self.tiles += len(tiles)
        areas = [tile.row_span.cells * tile.column_span.cells for tile in tiles]
        rows, columns = map(_totals, stage.spans(size))
        assert sum(areas) == rows.total * columns.total
        return rows, columns

    def choose(self, settings: Settings, size: Size) -> list[ScaleForecast]:
        """As ``choose``."""

        def replacement(stage: StageTiling, size: Size) -> tuple[SpanTotals, SpanTotals]:
            return self.span_totals(stage, size)

        with mock.patch.object(StageTiling, "span_totals", replacement):
            return choose(settings, size)


def _totals(parts: Sequence[Span]) -> SpanTotals:
    cells = [part.cells for part in parts]
    return SpanTotals(len(cells), max(cells), sum(cells))


def milliseconds(work: Callable, repeats: int) -> list[float]:
    """Duration of each call, with empty caches, and as ``timeit`` does it without the collector."""
    durations = []
    for _ in range(repeats):
        spans.cache_clear()
        span_totals.cache_clear()
        gc.disable()
        began = time.perf_counter()
        work()
        durations.append(1000 * (time.perf_counter() - began))
        gc.enable()
    return durations


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image_size", type=int, nargs="+", default=SIZES, help="long sides")
    parser.add_argument("--scales", default="1", help="as of nst_main.py: a number, or auto")
    parser.add_argument("--repeats", type=int, default=20, help="calls timed, of ours")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    options = parser.parse_args()
    facts = {**machine(), "options": vars(options), "sizes": {}}
    for key in ("machine", "versions", "options"):
        print(f"{key:9} {facts[key]}")
    print(
        f"\n{'pixels':>13} {'budget':>7} {'tiles':>9} {'least':>9} {'median':>9} {'most':>9} ",
        end="",
    )
    print(f"{'baseline':>11} {'its tiles':>11} {'times as fast':>14}")
    for side in options.image_size:
        size = side * 3 // 4, side  # (height, width)
        values = {"scales": options.scales}
        settings = Settings(**values, max_memory=budget(values, size))
        chosen = choose(settings, size)
        ours = milliseconds(lambda s=settings, n=size: choose(s, n), options.repeats)
        lists = TileLists()
        results: list = []
        (baseline,) = milliseconds(
            lambda s=settings, n=size, b=lists, r=results: r.append(b.choose(s, n)), 1
        )
        assert results == [chosen]
        median = statistics.median(ours)
        facts["sizes"][side] = {
            "budget": settings.max_memory,
            "tiles": chosen[-1].tiles,
            "milliseconds": ours,
            "baseline_milliseconds": baseline,
            "baseline_tiles": lists.tiles,
        }
        assert settings.max_memory is not None
        pixels, tiles = f"{size[1]} x {size[0]}", "+".join(map(str, chosen[-1].tiles))
        print(f"{pixels:>13} {settings.max_memory / 1e9:6.2f}G {tiles:>9} ", end="")
        print(f"{min(ours):6.1f} ms {median:6.1f} ms {max(ours):6.1f} ms ", end="")
        print(f"{baseline:8.0f} ms {lists.tiles:11,} {baseline / median:14.1f}", flush=True)
    report(facts, options.json)


if __name__ == "__main__":
    main()
