"""``costs.png``: the cost curves of a run."""

import io
import logging
from typing import Any

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of building its font cache

from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from nst.layout import MARK  # noqa: E402

# Of the axes: left, bottom, width, height. A layout that is computed takes as long as the drawing.
AREA = (0.09, 0.1, 0.69, 0.87)


def encode_png(curves: dict[str, Any]) -> bytes:
    """The curves of ``CostLog.curves`` on a logarithmic scale, as a PNG file.

    Scales of a coarse-to-fine run are parted by dotted lines: their costs are not comparable.
    """
    figure = Figure(figsize=(8, 5), dpi=120)
    FigureCanvasAgg(figure)
    axes = figure.add_axes(AREA)
    iterations, scales = curves["iteration"], curves["scale"]
    starts = [i for i in range(len(scales)) if i == 0 or scales[i] != scales[i - 1]]
    colors = iter(f"C{number}" for number in range(100))
    for line in curves["lines"]:
        is_layer = " " in line["name"]
        style: dict[str, Any] = {"color": next(colors), "linewidth": 1.0 if is_layer else 1.8}
        style["linestyle"] = "--" if is_layer else "-"
        for start, stop in zip(starts, [*starts[1:], len(scales)]):
            values = [value if value > 0 else float("nan") for value in line["values"][start:stop]]
            axes.plot(
                iterations[start:stop],
                values,
                label=line["name"] if start == 0 else None,
                marker="." if stop - start == 1 else None,
                **style,
            )
    for start in starts[1:]:
        middle = (iterations[start - 1] + iterations[start]) / 2
        axes.axvline(middle, color="grey", linestyle=":", linewidth=1)
    axes.set(xlabel="iteration", ylabel="cost", yscale="log")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if curves["lines"]:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": MARK})
    return buffer.getvalue()
