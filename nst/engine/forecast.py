"""Choose the tilings of a job within a memory budget, and forecast memory and time.

The fastest tiling that fits is taken: the whole picture at once; else the early layers by tiles and
the deeper ones, which need a third or a ninth of the memory, at once or by larger tiles.

On a processor all memory is the host's. Where a card evaluates, it holds the image, the state of
the optimizer and the activations; for a picture as a whole all that is kept for it, too, which by
tiles stays on the host, and passes through the card part by part.
"""

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import psutil

from nst.engine.borders import border_width
from nst.engine.budget import Budget, ScaleForecast, Size, find_budget, refusal
from nst.engine.hypercolumns import (
    FINE,
    MOST_FEATURES,
    TURNS,
    hypercolumn_values,
    target_values,
)
from nst.engine.memory import Memory
from nst.engine.optimizers import optimizer_class
from nst.engine.pixels import IMAGE_BYTES
from nst.engine.scales import scale_factors, scale_iterations
from nst.engine.tiling import WHOLE, StageTiling, Tiling, halo
from nst.pictures.resize import scaled_size, scaled_style_size
from nst.settings import NEIGHBOURS, Settings
from nst.vgg.layers import channels, layers_up_to

SHRINK = 0.7  # of what a tiling takes beyond the least: for the next one when memory ran out
# Bytes a pixel: image, next image, gradient, content, the last three with a border, and writing a
# frame.
PICTURE_BYTES = 8 * IMAGE_BYTES
# Of them on a card: image, next image, gradient, one with a border; and of a picture as a whole
# the others.
CARD_PICTURE_BYTES, CARD_WHOLE_BYTES = 4 * IMAGE_BYTES, 3 * IMAGE_BYTES
GUIDE_BYTES = 6  # a pixel of a mask at all grids
COLOUR_BYTES = 3 * IMAGE_BYTES  # content as it is, grey, and the image with its colours restored
STYLE_BYTES = IMAGE_BYTES  # a pixel of a style, some of which are changed
# Working memory of TensorFlow and oneDNN beside the tensors: traced graphs, reordered kernels.
FIXED_BYTES = 300e6
# Likewise on a card, whose context is taken before a plan is made: the weights, kernels that are
# loaded when they are first used, working memory of cuDNN. Not measured.
CARD_FIXED_BYTES = 600e6
# Peak memory of evaluating a tile, as a multiple of all its activations (benchmarks/memory.py).
PEAK = {"float32": 1.6, "bfloat16": 2.0, "float16": 3.0}
ITEM = {"float32": 4, "bfloat16": 2, "float16": 2}  # bytes of an activation
GRADIENT_ITEM = {"float32": 4, "bfloat16": 2, "float16": 4}  # of its gradient
EFFICIENCY = 0.7  # of the rate of a typical convolution, over a whole evaluation
CUTS = ("pool2", "pool3")
TILE_SIZES = (8192, 6144, 4096, 3072, 2048, 1536, 1024, 768, 512, 384, 256, 128, 64)


def choose_tilings(
    settings: Settings,
    network: str,
    dtype: str,
    size: Size,
    styles: Sequence[tuple[Size, float]],
    earlier: Sequence[Tiling] | None = None,
    share: float = 1.0,
    workers: int = 1,
    card: Memory | None = None,
) -> list[ScaleForecast]:
    """Return the fastest tiling of each scale within the memory budget of ``settings``.

    size: of the picture. styles: the size of each style, and the long side requested for it. dtype:
    of the convolutions. earlier: tilings to take instead where they fit, one for each scale. share:
    of the free memory of the host that may be used. workers: processes that share the tiles. card:
    memory of the card that evaluates, None if the host does.
    Raises MemoryLimitError, with the smallest budget that would do.
    """
    budget = find_budget(settings, share, card)
    chosen: list[ScaleForecast] = []
    refused: list[ScaleForecast] = []
    scales = _scales(settings, network, dtype, size, styles, workers, card is not None)
    for number, scale in enumerate(scales):
        if earlier:
            forecast = scale.forecast(earlier[number])
            # With --max_memory it is the budget of the earlier run, which they fitted.
            admitting = budget.kept if settings.max_memory else budget
            if forecast.is_within(admitting):
                chosen.append(forecast)
                continue
        fastest = scale.fastest(budget)
        chosen.append(fastest)
        if not fastest.is_within(budget):
            refused.append(fastest)
    if refused:
        raise refusal(settings, refused, budget, share, card)
    return chosen


def smaller_tilings(
    settings: Settings,
    network: str,
    dtype: str,
    size: Size,
    styles: Sequence[tuple[Size, float]],
    failed: Sequence[ScaleForecast],
    number: int,
    workers: int = 1,
    card: bool = False,
) -> list[ScaleForecast] | None:
    """Return tilings that take less, memory having run out; None if there are none.

    failed: the forecasts of all scales; number: of the scale where it ran out, from 0. The scales
    before it keep theirs. Tiles may be smaller than ``tile_size``. card: whether one evaluates.
    Other arguments as of ``choose_tilings``.
    """
    scales = _scales(settings, network, dtype, size, styles, workers, card)
    least = scales[number].fastest(Budget(-math.inf), below=True).memory
    if least >= failed[number].memory:
        return None
    budget = Budget(least + SHRINK * (failed[number].memory - least))
    return [
        forecast
        if index < number or forecast.is_within(budget)
        else scale.fastest(budget, below=True)
        for index, (scale, forecast) in enumerate(zip(scales, failed))
    ]


@functools.cache
def resident_before() -> int:
    """Bytes that the process held at its first forecast.

    So the tiling of a picture does not depend on the pictures of the batch before it.
    """
    return psutil.Process().memory_info().rss


def run_seconds(forecasts: Sequence[ScaleForecast], settings: Settings, rate: float) -> float:
    """Seconds that a run will take. rate: operations a second of a typical convolution."""
    iterations = scale_iterations(settings, len(forecasts))
    operations = sum(len(its) * scale.operations for its, scale in zip(iterations, forecasts))
    operations += sum(scale.preparation for scale in forecasts)
    return operations / (EFFICIENCY * rate)


@dataclass(frozen=True)
class _StageForecast:
    """What one stage takes.

    tiles: of the picture. kept: bytes held for the run or the evaluation. peak: bytes while a tile
    of the picture or of a style is evaluated. operations: of an evaluation of the picture.
    style_operations: of an evaluation of all styles.
    """

    tiles: int
    kept: float
    peak: float
    operations: float
    style_operations: float


@dataclass(frozen=True)
class _Scale:
    """One scale of a job, for which tilings are compared.

    on_card: whether a card evaluates, whose memory is not the host's.
    """

    settings: Settings
    network: str
    dtype: str
    size: Size
    styles: tuple[Size, ...]
    workers: int
    on_card: bool
    _forecasts: dict[Tiling, ScaleForecast] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def fastest(self, budget: Budget, below: bool = False) -> ScaleForecast:
        """The tiling within a budget that takes the fewest operations.

        If none is within it, the one that takes the least memory of the device, or of the host
        where only that is too small. below: smaller tiles than ``tile_size``, too.
        """
        if self.settings.tile_size is None and self.workers == 1:
            whole = self.forecast(WHOLE)  # nothing takes fewer operations
            if whole.is_within(budget):
                return whole
        forecasts = [self.forecast(tiling) for tiling in _tilings(self.settings, below)]
        fitting = [forecast for forecast in forecasts if forecast.is_within(budget)]
        if fitting:
            return min(fitting, key=lambda forecast: forecast.operations)
        return min(
            forecasts,
            key=lambda forecast: (
                forecast.memory if forecast.memory > budget.device else 0.0,
                forecast.host_memory or 0.0,
            ),
        )

    def forecast(self, tiling: Tiling) -> ScaleForecast:
        """Memory and work of a tiling, computed once for each."""
        if tiling not in self._forecasts:
            self._forecasts[tiling] = self._forecast(tiling)
        return self._forecasts[tiling]

    def _forecast(self, tiling: Tiling) -> ScaleForecast:
        tilings = tiling.stages(self._layers)
        stages = self._stages(tilings, tiling.keep_content)
        preparation = 0.0
        if self.settings.style_loss == NEIGHBOURS:
            preparation = self._search_operations(sum(stage.style_operations for stage in stages))
        operations = sum(
            stage.operations / stage.tiles * math.ceil(stage.tiles / self.workers)
            for stage in stages
        )
        tile = max(stage.peak for stage in stages)
        kept = sum(stage.kept for stage in stages)
        memory, host = self._host_bytes + kept + tile, None
        if self.on_card:
            host = memory - tile
            memory = self._card_bytes + tile
            if tiling == WHOLE:
                memory += self._card_whole_bytes + kept
        return ScaleForecast(
            tiling=tiling,
            size=self.size,
            tiles=tuple(stage.tiles for stage in stages),
            halo=halo(tilings[0].layers) if stages[0].tiles > 1 else 0,
            memory=memory,
            operations=operations,
            preparation=preparation,
            host_memory=host,
        )

    @functools.cached_property
    def _layers(self) -> tuple[str, ...]:
        return tuple(layers_up_to(self.network, self.settings.used_layers))

    @functools.cached_property
    def _content_layers(self) -> tuple[str, ...]:
        return tuple(layer for layer, _ in self.settings.used_content_layers)

    @functools.cached_property
    def _pictures(self) -> tuple[Size, ...]:
        """The sizes of the picture and of the styles, with their borders."""
        border = 2 * border_width(self.settings.padding, self._layers)
        return tuple(
            (height + border, width + border) for height, width in (self.size, *self.styles)
        )

    @functools.cached_property
    def _host_bytes(self) -> float:
        """Bytes on the host, but for what depends on the tiling."""
        settings, pixels = self.settings, math.prod(self.size)
        memory = resident_before() + FIXED_BYTES + PICTURE_BYTES * pixels
        memory += optimizer_class(settings.optimizer).state_bytes(self.size)
        if settings.preserve_colors != "none":
            memory += COLOUR_BYTES * pixels
        memory += STYLE_BYTES * sum(map(math.prod, self.styles))
        memory += self._guide_bytes()
        if settings.style_loss == NEIGHBOURS:
            memory += IMAGE_BYTES * pixels  # the anchor
            memory += self._target_bytes() + self._feature_bytes()
        return memory

    @functools.cached_property
    def _card_bytes(self) -> float:
        """Bytes on the card, but for what depends on the tiling."""
        memory = CARD_FIXED_BYTES + CARD_PICTURE_BYTES * math.prod(self.size)
        memory += optimizer_class(self.settings.optimizer).state_bytes(self.size)
        if self.settings.style_loss == NEIGHBOURS:
            memory += self._feature_bytes()
        return memory

    @functools.cached_property
    def _card_whole_bytes(self) -> float:
        """Bytes on the card in addition, for a picture evaluated as a whole."""
        memory = CARD_WHOLE_BYTES * math.prod(self.size) + self._guide_bytes()
        if self.settings.style_loss == NEIGHBOURS:
            memory += self._target_bytes()
        return memory

    def _guide_bytes(self) -> float:
        return GUIDE_BYTES * len(self.settings.content_mask or ()) * math.prod(self.size)

    def _target_bytes(self) -> float:
        """Targets of ``neighbours``."""
        return ITEM[self.dtype] * target_values(self.network) * math.prod(self.size)

    def _feature_bytes(self) -> float:
        """Features of the style and of one turn, while the targets are looked for."""
        item = ITEM[self.dtype]
        features = MOST_FEATURES * hypercolumn_values(self.network)
        turn = item * target_values(self.network) * max(map(math.prod, self.styles), default=0)
        # Directions and matrix are kept, and made from float32.
        return turn + (2 * item + 8) * features

    def _search_operations(self, style_operations: float) -> float:
        """Operations of the search of ``neighbours``; about as many in a round of the last pass.

        style_operations: of an evaluation of all styles.
        """
        places = math.prod(self.size) / FINE**2
        features = min(MOST_FEATURES, TURNS * sum(map(math.prod, self.styles)) / FINE**2)
        search = 2 * places * features * hypercolumn_values(self.network)
        return search + TURNS * style_operations / 2

    def _stages(self, stages: Sequence[StageTiling], keep_content: bool) -> list[_StageForecast]:
        depths = [3, *(channels(stage.layers[-1]) for stage in stages)]
        return [
            _stage_forecast(
                stage,
                depths[number],
                self._pictures,
                self._content_layers,
                self.dtype,
                keep_content or number > 0,
                number + 1 == len(stages),
            )
            for number, stage in enumerate(stages)
        ]


@functools.lru_cache(maxsize=4096)
def _stage_forecast(
    stage: StageTiling,
    depth: int,
    pictures: tuple[Size, ...],
    content_layers: tuple[str, ...],
    dtype: str,
    keeps_content: bool,
    is_last: bool,
) -> _StageForecast:
    """What one stage takes.

    depth: channels of the map that it reads. pictures: sizes of the picture and of the styles, with
    their borders. keeps_content: whether the content's activations are kept for all tiles.
    """
    cell = _cell_work(stage.layers, depth, content_layers)
    item = ITEM[dtype]
    tiles, peaks, operations = [], [], []
    for size in pictures:
        rows, columns = stage.span_totals(size)
        tiles.append(rows.spans * columns.spans)
        peaks.append(PEAK[dtype] * item * cell.activations * rows.most * columns.most)
        once = tiles[-1] == 1 and is_last
        passes = (2 if once else 3) * cell.operations
        if not (keeps_content or once):
            passes += 2 * cell.content_operations
        operations.append(passes * rows.total * columns.total)
    cells = math.prod(stage.map_size(pictures[0]))
    kept = 0.0
    if keeps_content:
        kept += item * cell.content * cells
    if not is_last:  # the map of the next stage, and the gradient with respect to it
        kept += (item + GRADIENT_ITEM[dtype]) * cell.last * cells
    return _StageForecast(tiles[0], kept, max(peaks), operations[0], sum(operations[1:]))


@dataclass(frozen=True)
class _CellWork:
    """What layers take for each cell of the map that the first of them reads.

    activations, content, last: values in the activations of all layers, of the content layers, and
    of the last layer. operations, content_operations: of a forward pass, to the last layer, and to
    the last content layer.
    """

    activations: float
    content: float
    last: float
    operations: float
    content_operations: float


@functools.cache
def _cell_work(layers: tuple[str, ...], depth: int, content_layers: tuple[str, ...]) -> _CellWork:
    """depth: channels of the map."""
    cells, activations, content, operations, content_operations = 1.0, 0.0, 0.0, 0.0, 0.0
    for layer in layers:
        if layer.startswith("pool"):
            cells /= 4
        else:
            operations += 2 * 9 * depth * channels(layer) * cells
        depth = channels(layer)
        activations += depth * cells
        if layer in content_layers:
            content += depth * cells
            content_operations = operations
    return _CellWork(activations, content, depth * cells, operations, content_operations)


def _scales(
    settings: Settings,
    network: str,
    dtype: str,
    size: Size,
    styles: Sequence[tuple[Size, float]],
    workers: int,
    on_card: bool,
) -> list[_Scale]:
    """The scales of a job; arguments as of ``choose_tilings``.

    Those of one size are one object, which computes each forecast once.
    """
    factors = scale_factors(settings, size)
    scales = {
        factor: _Scale(
            settings,
            network,
            dtype,
            scaled_size(size, factor),
            tuple(scaled_style_size(style, long_side, factor) for style, long_side in styles),
            workers,
            on_card,
        )
        for factor in set(factors)
    }
    return [scales[factor] for factor in factors]


def _tilings(settings: Settings, below: bool = False) -> Iterator[Tiling]:
    """Every tiling that is worth comparing, and the whole where tiles are not asked for.

    below: with tiles smaller than those asked for, too.
    """
    if settings.tile_size is None:
        yield WHOLE
    sizes: tuple[int, ...] = (settings.tile_size,) if settings.tile_size else TILE_SIZES
    if below and settings.tile_size:
        sizes += tuple(size for size in TILE_SIZES if size < settings.tile_size)
    for keep in (True, False):
        for cut in CUTS:
            for size in sizes:
                for deeper in (None, *TILE_SIZES):
                    if deeper is None or deeper >= size:
                        yield Tiling(((cut, size), (None, deeper)), keep)
