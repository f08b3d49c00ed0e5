"""Jobs of any kind, and the forecasts that are chosen for them."""

import math

from hypothesis import settings
from hypothesis import strategies as st

from nst.engine.evaluation import DTYPES
from nst.engine.forecast import choose_tilings
from nst.errors import MemoryLimitError
from nst.options import OPTIMIZERS
from nst.settings import Settings
from nst.style_losses import STYLE_LOSSES
from nst.vgg.layers import layer_names

RESIDENT = 250_000_000  # bytes that the process is said to hold
NETWORK = "VGG-19"

SIDES = st.integers(1, 12_000)
SIZES = st.tuples(SIDES, SIDES)
STYLES = st.lists(st.tuples(SIZES, SIDES), max_size=2)  # sizes, and the long sides requested
BUDGETS = st.floats(8.5, 11.5).map(lambda exponent: int(10**exponent))  # 0.3 to 300 GB
LAYERS = st.lists(st.sampled_from(layer_names(NETWORK)), min_size=1, max_size=3, unique=True)


def allowed(options):
    """The options without those that a style loss refuses which matches positions."""
    if not STYLE_LOSSES[options["style_loss"]].matches:
        return options
    return {name: options[name] for name in options if name not in REFUSED}


REFUSED = ("alpha", "beta", "style_layers")
OPTIONS = st.tuples(
    st.fixed_dictionaries(
        {
            "content_layers": LAYERS,
            "style_layers": LAYERS,
            "style_loss": st.sampled_from(list(STYLE_LOSSES)),
            "optimizer": st.sampled_from(list(OPTIMIZERS)),
            "preserve_colors": st.sampled_from(["none", "luminance", "match"]),
            "content_mask": st.sampled_from([None, ("mask.png",), ("one.png", "two.png")]),
            "padding": st.sampled_from(["reflect", "zeros"]),
        },
        optional={"tile_size": st.integers(1, 10_000)},
    ),
    st.sampled_from([{}, {}, {"alpha": 0}, {"beta": 0}]),
).map(lambda pair: allowed(pair[0] | pair[1]))
# Whatever the style loss, as so few iterations have no last pass.
ONE_SCALE = {"scales": 1, "epochs": 7}
SCALES = st.sampled_from([1, 1, 2, "auto"])
DTYPE = st.sampled_from(DTYPES)
several = settings(max_examples=50)


def choose(options, size, styles=(), dtype="float32", **keywords):
    """The forecast of each scale; None if nothing fits."""
    try:
        return choose_tilings(Settings(**options), NETWORK, dtype, size, styles, **keywords)
    except MemoryLimitError:
        return None


def operations_of(scales):
    """Operations of one evaluation of each scale; infinite if nothing fits."""
    return math.inf if scales is None else sum(scale.operations for scale in scales)
