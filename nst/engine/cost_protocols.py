"""The interface between the engine and the costs, whose formulas it does not know."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import tensorflow as tf

from nst.engine.step import Costs

Sums = Any  # a tensor, float32 or float64, or a nested structure of them


class Cost(Protocol):
    """A cost in one layer that can be measured by tiles: a function of sums over positions.

    Activations are (1, h, w, C) in the dtype of the network. The sums of the tiles add up to the
    sums of the picture. ``mean`` is these sums divided by the number of positions, or by the sum of
    the guide.

    compares_positions: True where every position has a target of its own; False where the target is
        the mean of the styles.
    """

    compares_positions: bool

    def sums(self, activation: tf.Tensor, target: Any, guide: tf.Tensor | None) -> Sums:
        """Sums over the positions of an activation.

        target: None unless ``compares_positions``. guide: (h, w, 1), 0..1, how much each position
        counts; None for 1 everywhere.
        """

    def value(self, mean: Sums, target: Any) -> tf.Tensor:
        """The cost, a float32 scalar. target: None where ``compares_positions``."""

    def dvalue(self, mean: Sums, target: Any, weight: float, positions: tf.Tensor) -> Sums:
        """``weight / positions`` times the derivative of ``value`` with respect to ``mean``."""

    def gradient(
        self,
        activation: tf.Tensor,
        target: Any,
        dsums: Sums,
        guide: tf.Tensor | None,
    ) -> tf.Tensor:
        """Gradient with respect to the activation, (1, h, w, C), from that of the sums."""


class MeanCost(Cost, Protocol):
    """A cost that does not compare positions."""

    def target(self, mean: Sums) -> Any:
        """The target of an image, from the mean of the styles; a tensor or a structure of them."""

    def value_and_dvalue(
        self, mean: Sums, target: Any, weight: float, positions: tf.Tensor
    ) -> tuple[tf.Tensor, Sums]:
        """``value`` and ``dvalue``, whose work may be shared."""


class PositionCost(Cost, Protocol):
    """A cost that compares positions, each with its own target.

    cells: a position is the mean over so many cells along each side of the activation, 1, 2 or 4,
        from its upper left corner on; at the other borders over fewer. The number of positions is
        counted in these.
    """

    @property
    def cells(self) -> int: ...

    def kept(self, activation: tf.Tensor) -> tf.Tensor:
        """What of an activation can become a target, (1, h / cells, w / cells, C), rounded up."""

    def target_spec(self, dtype: tf.DType) -> Any:
        """Shapes and dtypes of a target, a tensor or a structure of them.

        dtype: of the network. Tensors (1, None, None, ...) are cut to tiles as ``kept`` is; others
        are the same for all.
        """


class Term(NamedTuple):
    """A cost and its place in J = sum of factor * share * cost.

    part: ``content`` or ``style``. share: the weight of the layer in its part. factor: of the
    part in J, alpha or beta.
    """

    part: str
    layer: str
    cost: Cost
    share: float
    factor: float

    @property
    def key(self) -> str:
        """Its name in structures of tensors."""
        return f"{self.part} {self.layer} {type(self.cost).__name__}"


class ImageCost(Protocol):
    """A cost of the pixels themselves. weight: in J."""

    @property
    def weight(self) -> float: ...

    def add_gradient(
        self, image: tf.Tensor, gradient: tf.Tensor, visible: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the cost of an image (H, W, 3), and ``gradient`` plus its weighted own.

        visible: (H, W, 1), 0..1, how much each pixel counts; None for 1 everywhere.
        """


class TotalCost(Protocol):
    """J: terms in the layers of the network, and a cost of the pixels."""

    @property
    def terms(self) -> tuple[Term, ...]: ...
    @property
    def last_terms(self) -> tuple[Term, ...]:
        """The terms of the last pass, in place of the others; none where there is no such pass."""

    @property
    def image_cost(self) -> ImageCost: ...

    def costs(self, values: Mapping[str, tf.Tensor], image_cost: tf.Tensor) -> Costs:
        """J and its parts, float64 scalars. values: share * cost of each term, by key."""
