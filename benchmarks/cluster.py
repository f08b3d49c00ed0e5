"""One worker against two, each with one processor, on a Ray cluster of this machine.

Seconds of one evaluation of the cost of one picture by the same tiles, spread over the workers.

    python benchmarks/cluster.py [--image_size 1200] [--tile_size 512] [--repeats 3] [--json FILE]
"""

import argparse
import time

from common import enlarged, machine, report

import nst_utils
from nst.cluster.connection import Cluster
from nst.cluster.tiles import tile_session
from nst.engine.determinism import make_deterministic
from nst.engine.forecast import choose_tilings
from nst.engine.inputs import TransferInputs
from nst.engine.objective import Objective
from nst.runs.session import Session
from nst.settings import Settings
from nst.vgg import weights


def seconds(address: str, inputs: TransferInputs, settings: Settings, repeats: int) -> tuple:
    """(workers, tiles, best seconds of an evaluation) on the cluster at ``address``."""
    with Cluster(address, print) as cluster:
        session = tile_session(cluster, Session(weights.find(None, "vgg19", print)))
        forecast = choose_tilings(
            settings,
            session.weights.network,
            settings.precision,
            inputs.size,
            [(style.shape[:2], max(style.shape)) for style in inputs.styles],
            workers=2,  # the same tiles for both
        )[-1]
        dtype = nst_utils.tf.dtypes.as_dtype(settings.precision)
        objective = Objective(session.graphs(settings, dtype), inputs, forecast.tiling)
        assert inputs.content is not None
        objective(inputs.content)
        best = None
        for _ in range(repeats):
            began = time.perf_counter()
            objective(inputs.content)
            duration = time.perf_counter() - began
            best = duration if best is None else min(best, duration)
        return session.workers, forecast.tiles, best


def main() -> None:
    """Measure and print."""
    from ray.cluster_utils import Cluster as TestCluster

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image_size", type=int, default=1200, help="long side in pixels")
    parser.add_argument("--tile_size", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", metavar="FILE", help="write the numbers there, too")
    options = parser.parse_args()
    make_deterministic()
    nst_utils.tf.config.threading.set_intra_op_parallelism_threads(1)  # of the driver, too
    content, style = (
        enlarged(name, options.image_size) for name in ("temple.jpg", "starlit_harbour.jpg")
    )
    inputs = TransferInputs(content.shape[:2], content, (style,))
    settings = Settings(tile_size=options.tile_size, precision="float32")
    facts = {**machine(), "options": vars(options), "workers": {}}
    for key in ("machine", "versions", "options"):
        print(f"{key:10} {facts[key]}")
    alone = None
    for nodes in (1, 2):
        made = TestCluster(initialize_head=True, head_node_args={"num_cpus": 1})
        for _ in range(nodes - 1):
            made.add_node(num_cpus=1)
        try:
            workers, tiles, duration = seconds(made.address, inputs, settings, options.repeats)
        finally:
            made.shutdown()
        alone = alone or duration
        facts["workers"][workers] = {"tiles": tiles, "seconds": duration}
        text = f"{alone / duration:.2f} times as fast as one"
        print(f"{workers} workers, {' + '.join(map(str, tiles))} tiles: {duration:.2f} s, {text}")
    report(facts, options.json)


if __name__ == "__main__":
    main()
