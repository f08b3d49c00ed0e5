"""What it costs to save a run: with checkpoints against without, in turn, everything else equal.

Whole runs through ``nst.api.run_job``, frames and logs included, in a folder of its own. The
baseline is the same run with checkpoints that are not written. The share is of the best times.

    python benchmarks/checkpoint.py [--image_size 400] [--epochs 100] [--repeats 3] [--json FILE]
"""

import argparse
import tempfile
import time
from unittest import mock

from common import machine, report

from nst.api import run_job
from nst.engine.determinism import make_deterministic
from nst.runs.checkpoint import Checkpoint, Checkpoints
from nst.runs.job import read_job
from nst.runs.session import Session, open_session
from nst.settings import Settings
from nst.vgg import weights


def run(session: Session, values: dict, saving: bool) -> tuple[float, int]:
    """(seconds, bytes of the largest checkpoint) of a whole run with the settings ``values``."""
    largest = 0
    whole = Checkpoints.save

    def save(self: Checkpoints, checkpoint: Checkpoint) -> None:
        nonlocal largest
        if saving:
            whole(self, checkpoint)
            files = self.folder.glob("checkpoint*")
            largest = max(largest, sum(path.stat().st_size for path in files))

    with tempfile.TemporaryDirectory() as folder, mock.patch.object(Checkpoints, "save", save):
        job = read_job(Settings(**{**values, "output_dir": folder}))
        began = time.perf_counter()
        run_job(job, session=session)
        return time.perf_counter() - began, largest


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--content", default="temple.jpg", help="content picture")
    parser.add_argument("--image_size", type=int, default=400, help="long side in pixels")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--print_every", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    options = parser.parse_args()
    make_deterministic()
    session = open_session(weights.find(None, "vgg19", print))
    facts = {**machine(), "options": vars(options), "optimizers": {}}
    for key in ("machine", "versions", "options"):
        print(f"{key:10} {facts[key]}")
    print(f"{'optimizer':10} {'without':>9} {'with':>9} {'share':>7} {'checkpoint':>11}")
    for optimizer in ("adam", "lbfgs"):
        values = {
            "optimizer": optimizer,
            "content_image_filename": options.content,
            "image_size": options.image_size,
            "epochs": options.epochs,
            "print_every": options.print_every,
        }
        run(session, {**values, "epochs": 3}, True)  # traces the graphs
        times: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(options.repeats):
            for saving, seconds in times.items():
                took, size = run(session, values, saving)
                seconds.append(took)
        without, saved = min(times[False]), min(times[True])
        share = saved / without - 1
        facts["optimizers"][optimizer] = {
            "without": times[False],
            "with": times[True],
            "bytes": size,
        }
        print(f"{optimizer:10} {without:7.2f} s {saved:7.2f} s {share:7.1%} {size / 1e6:8.1f} MB")
    report(facts, options.json)


if __name__ == "__main__":
    main()
