"""Choose the tilings of a job within a memory budget, and forecast memory and time.

The fastest tiling that fits is taken. It is the whole picture at once, or else the early layers by
tiles and the deeper ones, which need a third or a ninth of the memory, at once or by larger tiles.

On a processor all memory is the host's. A card that evaluates holds the image, the state of the
optimizer and the activations. What else is kept for the run is on the card if the picture is
evaluated as a whole; by tiles it is on the host, and each tile copies its part to the card.
"""

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import psutil

from nst.engine.borders import border_width
from nst.engine.budget import Budget, ScaleForecast, Size, find_budget, refusal
from nst.engine.match_forecast import MatchForecast, match_forecast
from nst.engine.memory import Memory
from nst.engine.optimizers import optimizer_class
from nst.engine.pixels import IMAGE_BYTES
from nst.engine.scales import scale_factors, scale_iterations
from nst.engine.stage_forecast import StageForecast, stage_forecast
from nst.engine.tiling import WHOLE, StageTiling, Tiling, halo
from nst.pictures.resize import scaled_size, scaled_style_size
from nst.settings import Settings
from nst.vgg.layers import channels, layers_up_to

# When memory ran out: the share of what a tiling took beyond the least that the next one may take.
SHRINK = 0.7
# Bytes for each pixel: image, next image, gradient, content, the last three with a border, and a
# frame that is written.
PICTURE_BYTES = 8 * IMAGE_BYTES
# On a card: image, next image, gradient, and one of them with a border; and the further ones of a
# picture that is evaluated as a whole.
CARD_PICTURE_BYTES, CARD_WHOLE_BYTES = 4 * IMAGE_BYTES, 3 * IMAGE_BYTES
GUIDE_BYTES = 6  # for each pixel of a mask, at the sizes of all layers
COLOUR_BYTES = 3 * IMAGE_BYTES  # content in colour, in grey, and the image in restored colours
STYLE_BYTES = IMAGE_BYTES  # for each pixel of a style
# Memory of TensorFlow and oneDNN beside the tensors: traced graphs, reordered kernels.
FIXED_BYTES = 300e6
# The same on a card: weights, kernels loaded at their first use, memory of cuDNN. The context of
# the card is not in it, as it is taken before the forecast. An estimate, not measured.
CARD_FIXED_BYTES = 600e6
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
    of the convolutions. earlier: tilings of an earlier run, one for each scale; each is taken where
    it fits. share: of the free memory of the host that may be used. workers: processes that share
    the tiles. card: memory of the card that evaluates, None if the host does.
    Raises MemoryLimitError, with the smallest budget that would do.
    """
    budget = find_budget(settings, share, card)
    chosen: list[ScaleForecast] = []
    refused: list[ScaleForecast] = []
    scales = _scales(settings, network, dtype, size, styles, workers, card is not None)
    for number, scale in enumerate(scales):
        if earlier:
            forecast = scale.forecast(earlier[number])
            # With --max_memory the earlier run had the same budget, and its tilings were within it.
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
    """Return tilings that take less memory, to use after it ran out; None if there are none.

    failed: the forecasts of all scales. number: the scale where memory ran out, from 0; the scales
    before it keep their tilings. Tiles may become smaller than ``tile_size``. card: whether a card
    evaluates. The other arguments are those of ``choose_tilings``.
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

    It is measured once, so that earlier pictures of a batch do not change the tiling of a picture.
    """
    return psutil.Process().memory_info().rss


def run_seconds(forecasts: Sequence[ScaleForecast], settings: Settings, rate: float) -> float:
    """Seconds that a run will take. rate: operations a second of a typical convolution."""
    iterations = scale_iterations(settings, len(forecasts))
    operations = sum(len(its) * scale.operations for its, scale in zip(iterations, forecasts))
    operations += sum(scale.preparation for scale in forecasts)
    return operations / (EFFICIENCY * rate)


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

        If none is within it: the one that takes the least memory of the device, or of the host if
        only the host is too small. below: try tiles smaller than ``tile_size``, too.
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
        style_operations = sum(stage.style_operations for stage in stages)
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
            preparation=self._matching.search + self._matching.turns * style_operations,
            host_memory=host,
        )

    @functools.cached_property
    def _layers(self) -> tuple[str, ...]:
        return tuple(layers_up_to(self.network, self.settings.used_layers))

    @functools.cached_property
    def _content_layers(self) -> tuple[str, ...]:
        return tuple(layer for layer, _ in self.settings.used_content_layers)

    @functools.cached_property
    def _matching(self) -> MatchForecast:
        if not self.settings.loss.matches:
            return MatchForecast()
        return match_forecast(self.network, self.dtype, self.size, self.styles)

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
        matching = self._matching
        return memory + matching.anchor + matching.targets + matching.features

    @functools.cached_property
    def _card_bytes(self) -> float:
        """Bytes on the card, but for what depends on the tiling."""
        memory = CARD_FIXED_BYTES + CARD_PICTURE_BYTES * math.prod(self.size)
        memory += optimizer_class(self.settings.optimizer).state_bytes(self.size)
        return memory + self._matching.features

    @functools.cached_property
    def _card_whole_bytes(self) -> float:
        """Bytes on the card in addition, for a picture evaluated as a whole."""
        memory = CARD_WHOLE_BYTES * math.prod(self.size) + self._guide_bytes()
        return memory + self._matching.targets

    def _guide_bytes(self) -> float:
        regions = len(self.styles) if self.settings.content_mask else 0
        return GUIDE_BYTES * regions * math.prod(self.size)

    def _stages(self, stages: Sequence[StageTiling], keep_content: bool) -> list[StageForecast]:
        depths = [3, *(channels(stage.layers[-1]) for stage in stages)]
        return [
            stage_forecast(
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


def _scales(
    settings: Settings,
    network: str,
    dtype: str,
    size: Size,
    styles: Sequence[tuple[Size, float]],
    workers: int,
    on_card: bool,
) -> list[_Scale]:
    """The scales of a job; arguments of ``choose_tilings``.

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
    """Every tiling that is worth comparing; the picture as a whole only without ``tile_size``.

    below: also tiles smaller than ``tile_size``.
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
