"""Presets: named sets of defaults. A setting given by the user overrides its preset.

The values were chosen by the cost after equal time, and by eye, on many pairs of pictures
(``benchmarks/``).
"""

from typing import Any

# At alpha 10 the content cost is negligible: only the start image holds the content. At 10,000 it
# takes effect once the style cost is low, and does not weaken the style.
_QUASI_NEWTON = {"optimizer": "lbfgs", "alpha": 10_000.0, "scales": "auto"}

PRESETS: dict[str, dict[str, Any]] = {
    "classic": {},  # exactly the defaults of ``Settings``
    "tutorial": {
        "style_layers": [f"conv{block}_1:0.2" for block in range(1, 6)],
        "learning_rate": 2.0,
        "optimizer": "adam",
        "padding": "zeros",
    },
    "fast": {**_QUASI_NEWTON, "noise_ratio": 0.3, "epochs": 40},
    "painting": {**_QUASI_NEWTON, "epochs": 150, "image_size": 1000},
    "poster": {**_QUASI_NEWTON, "epochs": 200, "image_size": 2400},
}
