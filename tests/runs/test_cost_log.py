"""The costs of every iteration: how they are thinned, saved in a checkpoint and rewound."""

from nst.engine.step import Costs, Position, Step
from nst.runs.cost_log import CostLog


def test_a_log_is_thinned_and_comes_back_as_it_was():
    log = CostLog(["conv1_1"])
    for number in range(2500):
        costs = Costs(3.0 * number, 1.0, 2.0, 0.0, (2.0,))
        position = Position(number, 1 + number // 1000, number / 7, costs, None)
        log.add(Step(position, 2499, 3, None))
    curves = log.curves(1000)
    assert curves["iteration"] == [*range(0, 2500, 3)]
    assert [line["name"] for line in curves["lines"]] == [
        "J",
        "J_content",
        "J_style",
        "J_style conv1_1",
    ]
    assert log.curves(999)["iteration"][-1] == 2499
    other = CostLog(["conv1_1"])
    other.load(log.dump())
    assert other.costs() == log.costs()
    assert other.style_costs() == log.style_costs()
    assert other.total(17) == 51
    other.rewind(10)
    assert other.total(10) == 30
    assert other.total(17) is None
    assert CostLog([]).curves()["lines"] == []
