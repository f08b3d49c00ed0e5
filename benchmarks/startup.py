"""How long it takes from the command to the first iteration, beside the import of TensorFlow.

Processes in turn, ``--repeats`` of each: the import of TensorFlow alone, the baseline; the command
with an empty cache, as on its first run on a machine; and with the cache of an earlier run. Each
makes the picture twice: what the second one takes, with all that the session keeps, is work and no
start-up. Medians of seconds by the clock and of the processors, by phase.

    python benchmarks/startup.py [--repeats 5] [--json FILE] [options of nst_main.py]
"""

import argparse
import json
import os
import pkgutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ALONE = "import tensorflow, os; os._exit(0)"  # the command, too, leaves without taking itself apart
KINDS = ("first run", "later run")
CLOCKS = ("clock", "processors")
REST = "the rest"
# What each phase calls. The last phase ends with the first iteration.
BEFORE_TENSORFLOW = {"reading pictures": (("nst.runs.job", "read_job"),)}
PHASES = {
    "reading weights": (("nst.vgg.weights", "find"), ("nst.vgg.weights", "load")),
    "number types": (("nst.engine.precision", "choose"),),
    "network": (("nst_utils", "build_graphs"),),
    "targets of the costs": (("nst_utils", "make_objective"),),
    "first iteration": (("nst.engine.tile_graphs.Compiled", "__call__"),),
}
LOADING = "loading TensorFlow"


class Phases:
    """Seconds by the clock and of the processors that each phase takes, without those within it."""

    def __init__(self, began: float) -> None:
        """began: when the process was started, of ``time.monotonic``."""
        self.seconds: dict[str, list[float]] = {}
        self._inside = [REST]
        self._last = (began, 0.0)

    def _turn(self) -> None:
        """Count the time since the last turn to the phase that is going on."""
        now = time.monotonic(), time.process_time()
        sums = self.seconds.setdefault(self._inside[-1], [0.0, 0.0])
        for index, (late, early) in enumerate(zip(now, self._last)):
            sums[index] += late - early
        self._last = now

    def wrap(self, phase: str, call: Callable) -> Callable:
        """A function whose time is that of a phase."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            self._turn()
            self._inside.append(phase)
            try:
                return call(*args, **kwargs)
            finally:
                self._turn()
                self._inside.pop()

        return timed

    def watch(self, phases: Mapping[str, tuple[tuple[str, str], ...]]) -> None:
        """Wrap the functions of phases, in their modules or classes."""
        for phase, functions in phases.items():
            for owner_name, name in functions:
                owner = pkgutil.resolve_name(owner_name)
                setattr(owner, name, self.wrap(phase, getattr(owner, name)))

    def take(self) -> dict[str, list[float]]:
        """What was counted, from zero again."""
        self._turn()
        seconds, self.seconds = self.seconds, {}
        return seconds


def child(began: float, options: list[str]) -> None:
    """Run the command twice in this process, and print what the phases of each took."""
    phases, told = Phases(began), []
    sys.path.insert(0, str(ROOT))
    import nst_main

    load_tensorflow = nst_main.load_tensorflow

    def load(*args: Any) -> None:
        load_tensorflow(*args)
        nst_main.load_tensorflow = load_tensorflow
        phases.watch(PHASES)
        from nst.runs.folder import RunFolder

        record = RunFolder.record

        def recorded(folder: Any, step: Any) -> None:
            if step.iteration == 0:
                told.append(phases.take())
            record(folder, step)

        RunFolder.record = recorded  # type: ignore[method-assign, assignment]

    nst_main.load_tensorflow = phases.wrap(LOADING, load)
    phases.watch(BEFORE_TENSORFLOW)
    common = [*options, "--epochs", "1", "--overwrite", "--quiet"]
    # The style of the second picture is another size, or its targets would be there already.
    for command in (common, [*common, "--style_scale", "0.99"]):
        if code := nst_main.main(command):
            sys.exit(code)
        phases.take()
    print(json.dumps(told))


def run(arguments: list[str], cache: Path) -> tuple[str, list[float]]:
    """What a process prints, and its seconds by the clock and of the processors."""
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", "NST_OFFLINE": "1", **os.environ}
    environment["XDG_CACHE_HOME"] = str(cache)
    command, before = [sys.executable, *arguments], os.times()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{(done.stdout + done.stderr)[-2000:]}")
    after = os.times()
    used = after.children_user + after.children_system
    used -= before.children_user + before.children_system
    return done.stdout, [after.elapsed - before.elapsed, used]


def run_child(options: list[str], folder: Path, cache: Path) -> list[dict[str, list[float]]]:
    """Phases of the first picture of a process, and of the second."""
    arguments = [__file__, "--child", str(time.monotonic()), "--output_dir", str(folder), *options]
    return json.loads(run(arguments, cache)[0].splitlines()[-1])


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--child"]:
        child(float(sys.argv[2]), sys.argv[3:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    options, rest = parser.parse_known_args()
    alone: list[list[float]] = []
    runs: dict[str, list[list[dict[str, list[float]]]]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.repeats):
            cache = Path(folder, f"cache_{number}")
            alone.append(run(["-c", ALONE], cache)[1])
            for phases in runs.values():
                phases.append(run_child(rest, Path(folder, "output"), cache))

    from common import machine, report  # late: this process need not have imported the program

    facts = {**machine(), "options": {**vars(options), "nst_main.py": rest}}
    for key in facts:
        print(f"{key:10} {facts[key]}")
    baseline = [median(values) for values in zip(*alone)]
    medians: dict[str, Any] = {"import tensorflow": dict(zip(CLOCKS, baseline))}
    print(f"{'import tensorflow alone':36}" + "".join(f"{value:10.2f} s" for value in baseline))
    for kind, processes in runs.items():
        print(f"\n{kind:24}" + "".join(f"{clock:>24}" for clock in CLOCKS))
        print(f"{'':24}" + f"{'first':>12}{'second':>12}" * len(CLOCKS))
        rows: dict[str, dict[str, list[float]]] = {}
        for phase in (REST, *BEFORE_TENSORFLOW, LOADING, *PHASES):
            rows[phase] = {
                clock: [
                    median(process[picture].get(phase, (0.0, 0.0))[index] for process in processes)
                    for picture in range(2)
                ]
                for index, clock in enumerate(CLOCKS)
            }
        rows["sum"] = {
            clock: [sum(row[clock][picture] for row in rows.values()) for picture in range(2)]
            for clock in CLOCKS
        }
        for phase, row in rows.items():
            values = "".join(f"{value:10.2f} s" for clock in CLOCKS for value in row[clock])
            print(f"{phase:24}{values}")
        beside = {
            clock: rows["sum"][clock][0] - rows["sum"][clock][1] - baseline[index]
            for index, clock in enumerate(CLOCKS)
        }
        print(f"{'start-up beside it':24}" + "".join(f"{beside[c]:22.2f} s" for c in CLOCKS))
        medians[kind] = {"phases": rows, "beside the import of tensorflow": beside}
    report({**facts, "seconds": medians}, options.json)


if __name__ == "__main__":
    main()
