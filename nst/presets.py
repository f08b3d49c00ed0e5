"""Presets: named sets of defaults. A setting that is given wins over its preset's.

Chosen by the cost after equal time and by looking at pictures of many pairs (``benchmarks/``).
"""

from typing import Any

# With alpha 10 only the start image keeps the content; at 10,000 its cost weighs in as soon as the
# style is near, and still takes nothing away from it.
_QUASI_NEWTON = {"optimizer": "lbfgs", "alpha": 10_000.0, "scales": "auto"}

PRESETS: dict[str, dict[str, Any]] = {
    "classic": {},  # the defaults of ``Settings`` to the letter
    "fast": {**_QUASI_NEWTON, "noise_ratio": 0.3, "epochs": 40},
    "painting": {**_QUASI_NEWTON, "epochs": 150, "image_size": 1000},
    "poster": {**_QUASI_NEWTON, "epochs": 200, "image_size": 2400},
}
