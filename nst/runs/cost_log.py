"""The costs of every iteration of a run: as CSV files, in a checkpoint, and as curves."""

import bisect
import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from nst.engine.step import COSTS, Step

HEAD = ("iteration", "scale", "seconds", *COSTS)
MOST_POINTS = 1000  # of a curve that is drawn


class CostLog:
    """Rows of HEAD, and J_style of each style layer behind them."""

    def __init__(self, layers: Sequence[str]) -> None:
        """Begin with no row. layers: the names of the style layers."""
        self.layers = tuple(layers)
        self._rows: list[list[str]] = []

    def add(self, step: Step) -> None:
        """Append the costs of a step."""
        costs = (*step.costs.named().values(), *step.costs.layers)
        row = [str(step.iteration), str(step.scale), f"{step.seconds:.3f}"]
        self._rows.append(row + [f"{cost:.8g}" for cost in costs])

    def rewind(self, iteration: int) -> None:
        """Drop the rows after an iteration."""
        self._rows = [row for row in self._rows if int(row[0]) <= iteration]

    def dump(self) -> bytes:
        """All the rows, for a checkpoint."""
        return _csv((*HEAD, *self.layers), self._rows)

    def load(self, dumped: bytes) -> None:
        """Take the rows that ``dump`` gave."""
        self._rows = list(csv.reader(dumped.decode().splitlines()))[1:]

    def costs(self) -> bytes:
        """``costs.csv``: HEAD."""
        return _csv(HEAD, (row[: len(HEAD)] for row in self._rows))

    def style_costs(self) -> bytes:
        """``style_costs.csv``: J_style of each style layer, weighted: they sum to J_style."""
        rows = ([row[0], *row[len(HEAD) :]] for row in self._rows)
        return _csv(("iteration", *self.layers), rows)

    def curves(self, most: int = MOST_POINTS) -> dict[str, Any]:
        """The curves to draw: {iteration, scale: numbers, lines: [{name, values}]}.

        Of more than ``most`` iterations every n-th is taken, and the last. Costs that are 0
        throughout have no line.
        """
        every = -(-len(self._rows) // most)
        rows = self._rows[::every] if every else []
        if rows and rows[-1] is not self._rows[-1]:
            rows.append(self._rows[-1])
        columns = list(zip(*rows))
        names = (*COSTS, *(f"J_style {layer}" for layer in self.layers))
        lines = [
            {"name": name, "values": list(map(float, column))}
            for name, column in zip(names, columns[3:])
        ]
        return {
            "iteration": list(map(int, columns[0])) if rows else [],
            "scale": list(map(int, columns[1])) if rows else [],
            "lines": [line for line in lines if any(line["values"])],
        }

    def total(self, iteration: int) -> float | None:
        """J of an iteration, None if it is not in the log."""
        at = bisect.bisect_left(self._rows, iteration, key=lambda row: int(row[0]))
        if at == len(self._rows) or int(self._rows[at][0]) != iteration:
            return None
        return float(self._rows[at][3])


def _csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()
