"""A stack nobody asks anything of: what it costs to be there."""

from tests.bench.cpu import Meter
from tests.bench.ground import Ground, processes
from tests.bench.pace import let_pass
from tests.bench.report import Goal

SETTLE_SECONDS = 15.0
SECONDS = 20.0


def bench_idle(ground: Ground) -> None:
    """All processes, Kafka and the mail sink as well."""
    with ground.stack() as stack:
        let_pass(SETTLE_SECONDS)
        meter = Meter(processes(stack))
        let_pass(SECONDS)
        cost = meter.cost()
    for name, seconds in cost.cpu.items():
        ground.report.add(f"idle, {name}", 100 * seconds / cost.seconds, "% of a core")
    everything = 100 * sum(cost.cpu.values()) / cost.seconds
    ground.report.add("idle, all", everything, "% of a core", Goal(at_most=10))
