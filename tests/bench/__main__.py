"""`make bench`: how fast it is on this machine. One line each: name, value, unit.

`make bench ONLY="wait mail"` measures only these. BENCH_JOURNEYS, BENCH_MAIL_JOURNEYS and
BENCH_RECORDS make it shorter or longer. Everything runs on Apache Kafka and PostgreSQL, which
share the machine with what is measured; nobody else should.
"""

import argparse
import sys
from collections.abc import Callable, Mapping

from libs.chassis.telemetry.logs import configure_logs
from tests.bench.claims import bench_claims
from tests.bench.dates import bench_dates
from tests.bench.echo import bench_echo
from tests.bench.engine import bench_timers, bench_walk
from tests.bench.ground import Ground, NoRealBroker
from tests.bench.idle import bench_idle
from tests.bench.journeys import bench_mail, bench_wait
from tests.bench.matcher import bench_matcher
from tests.bench.report import Report

BENCHES: Mapping[str, Callable[[Ground], None]] = {
    "walk": bench_walk,
    "timers": bench_timers,
    "echo": bench_echo,
    "wait": bench_wait,
    "mail": bench_mail,
    "idle": bench_idle,
    "matcher": bench_matcher,
    "claims": bench_claims,
    "dates": bench_dates,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help=f"some of {', '.join(BENCHES)}; without, all")
    only = parser.parse_args().only
    if unknown := set(only) - BENCHES.keys():
        parser.error(f"no bench is called {', '.join(sorted(unknown))}")
    configure_logs("bench", "console", "critical")
    report = Report()
    try:
        for name in only or BENCHES:
            BENCHES[name](Ground(report))
    except NoRealBroker:
        sys.exit("The bench needs Apache Kafka: Docker, or Java 17 and Maven.")
    finally:
        report.compare()
        report.keep()


if __name__ == "__main__":
    main()
