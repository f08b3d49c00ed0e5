"""What it costs to watch a run: with the live view, looked at, against without, in turn.

Whole runs through ``nst.runs.run.run_job``, in a folder of their own. The page is asked for its
state and its picture once a second, as a browser does, by a process of its own; with --chromium, a
real one shows it instead (whose own work counts, too). The share is of the median times of
iterations.

    python benchmarks/live.py [--image_size 400] [--epochs 80] [--repeats 5] [--chromium]
"""

import argparse
import statistics
import subprocess
import sys
import tempfile

from common import machine, report

from nst.cli.live import Live
from nst.engine.determinism import make_deterministic
from nst.engine.step import Step
from nst.runs.batch import plan_batch
from nst.runs.folder import RunFolder
from nst.runs.job import read_job
from nst.runs.run import run_job
from nst.runs.session import Session, open_session
from nst.settings import Settings
from nst.vgg import weights

READER = """
import sys, time, urllib.request
while True:
    for path in ("state", "costs", "picture.jpg"):
        try: urllib.request.urlopen(sys.argv[1] + path).read()
        except OSError: pass
    time.sleep(1)
"""
CHROMIUM = ("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0")


def run(session: Session, values: dict, reader: tuple[str, ...] | None) -> float:
    """Seconds of an iteration, of a whole run that ``reader`` looks at. values: settings."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(**{**values, "output_dir": folder})
        job, (task,) = read_job(settings), plan_batch(settings).tasks
        steps: list[Step] = []
        if reader is None:
            run_job(job, session, on_step=steps.append)
        else:
            live = Live(0, lambda: None, settings)
            process = subprocess.Popen(
                [*reader, live.url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )

            def on_start(folder: RunFolder) -> None:
                live.start(task, folder)

            def on_step(step: Step) -> None:
                live.step(task, step)
                steps.append(step)

            try:
                run_job(job, session, on_start=on_start, on_step=on_step)
            finally:
                process.kill()
                process.wait()
            if not live.is_watched:
                sys.exit("nobody looked at the page")
            live.close()
        seconds = [step.seconds for step in steps[len(steps) // 3 :]]  # a browser starts meanwhile
        return (seconds[-1] - seconds[0]) / (len(seconds) - 1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image_size", type=int, default=400, help="long side in pixels")
    parser.add_argument("--epochs", type=int, default=80)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--chromium", action="store_true", help="look with a real browser")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    options = parser.parse_args()
    make_deterministic()
    session = open_session(weights.find(None, "vgg19", print))
    facts = {**machine(), "options": vars(options)}
    for key in facts:
        print(f"{key:10} {facts[key]}")
    reader = CHROMIUM if options.chromium else (sys.executable, "-c", READER)
    values = {"image_size": options.image_size, "epochs": options.epochs, "print_every": 1000}
    run(session, {**values, "epochs": 3}, None)  # traces the graphs
    times: dict[str, list[float]] = {"without": [], "looked at": []}
    for _ in range(options.repeats):
        times["without"].append(run(session, values, None))
        times["looked at"].append(run(session, values, reader))
    for name, seconds in times.items():
        each = ", ".join(f"{1000 * value:.1f}" for value in seconds)
        print(f"{name:10} {1000 * statistics.median(seconds):.1f} ms an iteration ({each})")
    share = statistics.median(times["looked at"]) / statistics.median(times["without"]) - 1
    print(f"{'share':10} {share:.1%}")
    report({**facts, "seconds": times, "share": share}, options.json)


if __name__ == "__main__":
    main()
