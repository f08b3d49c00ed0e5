"""Measures of one result against its content and its style, by a network other than VGG.

Pictures are (H, W, 3) float32, 0..255. All measures but ``border`` and ``noise`` are 0 at best;
those two are ratios, and 1 is what the style, or the content, has itself.
"""

from dataclasses import asdict, dataclass

import numpy as np
from lite0 import Lite0

from nst.pictures.resize import resize

STYLE_BLOCKS = (0, 2, 4, 7, 10)  # at 1/2, 1/4, 1/8, 1/16 and 1/16 of the size
LAYOUT_BLOCKS = (4, 7, 10)
PLAIN_BLOCK = 10
DIRECTIONS = 64  # of the sliced distance
QUANTILES = np.linspace(0, 1, 257)[:-1] + 0.5 / 256
POSITIONS = 1024  # that the layout compares with each other, at most
CELL = 16  # pixels; the areas that are calm or not
CALM = np.linspace(0.1, 0.5, 9)  # the calmer half of the areas, without the very calmest
FLOOR = 1.0  # grey levels: less noise than this cannot be seen
RIM = 8  # pixels that the padding of a network can spoil


@dataclass(frozen=True)
class Verdict:
    """What the judge says of one result.

    style: Gaussian Wasserstein distance of features from those of the style; style_sliced: the
    sliced one, which knows the shapes of their histograms; colour: the sliced one, of pixels.
    layout: how little the self-similarity agrees with that of the content, 0 wholly .. 1 not at
    all; content: plain feature distance. noise: roughness of the calm areas, as a ratio to those of
    the style; border: steps at the border, against those inside, as a ratio to the
    same of the content.
    """

    style: float
    style_sliced: float
    colour: float
    layout: float
    content: float
    noise: float
    border: float


MEASURES = tuple(Verdict.__dataclass_fields__)


def _columns(features: np.ndarray) -> np.ndarray:
    """(h, w, channels) as (positions, channels) float64."""
    return features.reshape(-1, features.shape[-1]).astype(np.float64)


def _root(matrix: np.ndarray) -> np.ndarray:
    """The square root of a symmetric positive matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


def gaussian_distance(result: np.ndarray, style: np.ndarray) -> float:
    """Squared 2-Wasserstein distance of Gaussians, in units of the variance of the style."""
    a, b = _columns(result), _columns(style)
    cov_a, cov_b = (np.atleast_2d(np.cov(x.T, bias=True)) for x in (a, b))
    root = _root(cov_b)
    shared = np.trace(_root(root @ cov_a @ root))
    between = np.sum((a.mean(0) - b.mean(0)) ** 2)
    variance = np.trace(cov_b) + 1e-12
    return float(max(0, between + np.trace(cov_a) + variance - 2 * shared) / variance)


def sliced_distance(result: np.ndarray, style: np.ndarray) -> float:
    """Squared Wasserstein distance along random lines, in units of the variance of the style."""
    a, b = _columns(result), _columns(style)
    lines = np.random.default_rng(0).standard_normal((a.shape[1], DIRECTIONS))
    lines /= np.linalg.norm(lines, axis=0)
    on_lines = [np.quantile(x @ lines, QUANTILES, axis=0) for x in (a, b)]
    variance = np.mean(np.var(b @ lines, axis=0)) + 1e-12
    return float(np.mean((on_lines[0] - on_lines[1]) ** 2) / variance)


def _similarities(features: np.ndarray) -> np.ndarray:
    """Cosine similarities between all positions of a regular grid, less their mean, of length 1."""
    step = int(np.ceil(np.sqrt(features.shape[0] * features.shape[1] / POSITIONS)))
    x = _columns(features[step // 2 :: step, step // 2 :: step])
    x -= x.mean(0)
    x /= np.linalg.norm(x, axis=1, keepdims=True) + 1e-9
    similarities = x @ x.T
    similarities -= similarities.mean()
    return similarities / (np.linalg.norm(similarities) + 1e-9)


def layout_distance(result: np.ndarray, content: np.ndarray) -> float:
    """How little similarities between places agree: half their squared distance, 1 - correlation.

    Self-similarity as of Kolkin et al. 2019. Their mean difference is small for every content of
    low contrast: strongly painted results were nearer to other contents than to their own. The
    correlation knew the own content of each.
    """
    difference = _similarities(result) - _similarities(content)
    return float(np.sum(difference**2) / 2)


def plain_distance(result: np.ndarray, content: np.ndarray) -> float:
    """Squared difference of features in place, in units of the variance of the content."""
    a, b = _columns(result), _columns(content)
    return float(np.mean((a - b) ** 2) / (np.mean(np.var(b, axis=0)) + 1e-12))


def _roughness(rgb: np.ndarray) -> np.ndarray:
    """The mean absolute Laplacian of each area of CELL pixels."""
    x = rgb.astype(np.float64)
    laplacian = 4 * x[1:-1, 1:-1] - x[:-2, 1:-1] - x[2:, 1:-1] - x[1:-1, :-2] - x[1:-1, 2:]
    return _cells(np.abs(laplacian).mean(-1, keepdims=True), CELL)[..., 0]


def _cells(x: np.ndarray, size: int) -> np.ndarray:
    """Means over squares of ``size``; what is left at the right and at the bottom is left out."""
    rows, columns = x.shape[0] // size, x.shape[1] // size
    x = x[: rows * size, : columns * size]
    return x.reshape(rows, size, columns, size, -1).mean((1, 3))


def noise(result: np.ndarray, style: np.ndarray) -> float:
    """How much rougher the calmer half of the result is than the calmer half of the style."""
    ours, theirs = (np.quantile(_roughness(rgb), CALM) + FLOOR for rgb in (result, style))
    return float(np.exp(np.mean(np.log(ours / theirs))))


def rim_steps(result: np.ndarray) -> float:
    """How much more the outermost pixels differ from the next ones than neighbours do inside.

    Of squares of RIM pixels: the steps of their mean colour and of their contrast.
    """
    steps: dict[bool, list[np.ndarray]] = {True: [], False: []}
    for turns in range(4):  # each side comes to the top once, its squares aligned with it
        x = np.rot90(result, turns).astype(np.float64)
        mean = _cells(x, RIM)
        contrast = np.sqrt(np.clip(_cells(x**2, RIM) - mean**2, 0, None))
        step = np.stack([np.linalg.norm(np.diff(y, axis=0), axis=-1) for y in (mean, contrast)], -1)
        steps[True].append(step[0])
        steps[False].append(step[1:-1].reshape(-1, 2))
    rim, inside = (np.concatenate(steps[key]).mean(0) + FLOOR for key in (True, False))
    return float(np.sqrt(np.prod(rim / inside)))


class Judge:
    """Measures results; keeps the features of the content and style that it saw last."""

    def __init__(self, network: Lite0) -> None:
        self._network = network
        self._seen: dict[str, tuple[np.ndarray, dict[int, np.ndarray]]] = {}

    def _features(self, role: str, rgb: np.ndarray) -> dict[int, np.ndarray]:
        blocks = tuple(sorted({*STYLE_BLOCKS, *LAYOUT_BLOCKS, PLAIN_BLOCK}))
        seen = self._seen.get(role)
        if seen is None or not np.array_equal(seen[0], rgb):
            self._seen[role] = seen = rgb, self._network.features(rgb, blocks)
        return seen[1]

    def __call__(self, result: np.ndarray, content: np.ndarray, style: np.ndarray) -> Verdict:
        """Measure one result; the content is brought to its size, the style stays as it is."""
        if content.shape != result.shape:
            content = resize(content, result.shape[:2]).astype(np.float32)
        ours = self._features("result", result)
        theirs, style_features = self._features("content", content), self._features("style", style)
        pairs = [(ours[block], style_features[block]) for block in STYLE_BLOCKS]
        return Verdict(
            style=float(np.mean([gaussian_distance(*pair) for pair in pairs])),
            style_sliced=float(np.mean([sliced_distance(*pair) for pair in pairs])),
            colour=sliced_distance(result, style),
            layout=float(np.mean([layout_distance(ours[b], theirs[b]) for b in LAYOUT_BLOCKS])),
            content=plain_distance(ours[PLAIN_BLOCK], theirs[PLAIN_BLOCK]),
            noise=noise(result, style),
            border=rim_steps(result) / rim_steps(content),
        )


def as_dict(verdict: Verdict) -> dict[str, float]:
    """The measures by name."""
    return asdict(verdict)
