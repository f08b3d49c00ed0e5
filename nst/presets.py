"""Presets: named sets of defaults. A setting given by the user overrides its preset.

The values were chosen by eye and by the judge (``benchmarks/judge.py``), on many pairs of pictures;
docs/presets.md shows what they make.
"""

from typing import Any

# The Wasserstein distance paints cleaner than the Gram matrix, in strokes of all sizes, and leaves
# things in their places. conv5_1 has less than a hundredth of J_style: without it pictures look the
# same, after a sixth less work.
_PAINTING: dict[str, Any] = {
    "style_loss": "wasserstein",
    "style_layers": [f"conv{block}_1" for block in range(1, 5)],
    "optimizer": "lbfgs",
    "scales": "auto",
}

PRESETS: dict[str, dict[str, Any]] = {
    "classic": {},  # exactly the defaults of ``Settings``
    "tutorial": {
        "style_layers": [f"conv{block}_1:0.2" for block in range(1, 6)],
        "learning_rate": 2.0,
        "noise_ratio": 0.6,
        "padding": "zeros",
    },
    "fast": {**_PAINTING, "epochs": 35},
    "painting": {**_PAINTING, "epochs": 110, "image_size": 1000},
    "portrait": {**_PAINTING, "alpha": 40.0, "epochs": 110, "image_size": 1000},
    "poster": {**_PAINTING, "epochs": 150, "image_size": 2400},
}
