"""A real Ray cluster for the tests of this folder."""

import os

import pytest

# Of a node: as many as this process computes with on a machine of two, for sums of as many threads.
PROCESSORS = min(2, os.cpu_count() or 1)


class TwoNodes:
    """A cluster of two nodes with PROCESSORS each; the first is the head."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": PROCESSORS})
        self._second = None
        self.address = self._cluster.address

    def complete(self) -> None:
        """Start the second node if it is not there."""
        if self._second is None:
            self._second = self._cluster.add_node(num_cpus=PROCESSORS)

    def lose_second(self) -> None:
        """Kill the second node."""
        node, self._second = self._second, None
        self._cluster.remove_node(node, allow_graceful=False)

    def shutdown(self) -> None:
        """End it."""
        self._cluster.shutdown()


@pytest.fixture(scope="session")
def two_nodes():
    """The cluster, started once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        made = TwoNodes()
        yield made
        made.shutdown()


@pytest.fixture
def cluster(two_nodes):
    """The cluster, with both of its nodes."""
    two_nodes.complete()
    return two_nodes
