"""`python -m bench.polling`: what looking for results costs, and how long they lie unnoticed.

Videos one after the other on the published times (bench/simulation/assumptions.yaml), warm, whose
analyses vary from one to the next by a stated spread (a lognormal distribution), with the waits and
the memory that are deployed. "unknown" is the same without the memory.
"""

import argparse
import math
import random
from collections.abc import Iterator
from statistics import mean, quantiles
from typing import NamedTuple

from bench.simulation import assumptions
from bench.simulation.stack import polls_until, transitions_per_video
from screener.observations import Analyzer
from screener.paces import Measurement, Paces
from screener.settings import DeployedAnalyzer

VIDEOS = 2_000
UNITS = 600
SPREADS = (0.0, 0.05, 0.1, 0.25, 0.5)
"""Standard deviation of the logarithm: about that share of the time."""
ANY = DeployedAnalyzer(endpoint="any", packs="s3://any/any/", instance_type="any")


class Look(NamedTuple):
    """How one result was found."""

    polls: int
    ready_seconds: float
    lost_seconds: float

    @property
    def within_the_rule(self) -> bool:
        return self.lost_seconds <= max(5.0, 0.1 * self.ready_seconds)


def looks(spread: float, *, remembering: bool) -> Iterator[Look]:
    """Every analysis of `VIDEOS` videos after the first."""
    numbers = assumptions.load()
    for analyzer in Analyzer:
        chance = random.Random(f"{numbers.seed}-{analyzer}")  # noqa: S311 - no secret
        usual = numbers.endpoints[analyzer].request_seconds(numbers.video)
        known = Paces()
        for number in range(VIDEOS):
            ready = usual * math.exp(spread * chance.gauss(0, 1))
            polls, noticed = polls_until(ready, known.expected_seconds(analyzer, ANY, UNITS))
            if number:
                yield Look(polls, ready, noticed - ready)
            if remembering:
                measured = [Measurement(analyzer, UNITS, 1_000 * ready)]
                known = known.learning(measured, {analyzer: ANY})


def row(name: str, spread: float, found: list[Look]) -> str:
    lost = [look.lost_seconds for look in found]
    cells = (
        name,
        f"{spread:.0%}",
        f"{transitions_per_video(assumptions.load(), 4 * mean(look.polls for look in found)):.0f}",
        f"{mean(look.polls for look in found):.1f}",
        f"{mean(lost):.1f}",
        f"{quantiles(lost, n=20)[-1]:.1f}",
        f"{mean(look.within_the_rule for look in found):.0%}",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    argparse.ArgumentParser(prog="python -m bench.polling", description=__doc__).parse_args()
    print("| | spread | transitions | polls/analysis | s unnoticed | p95 | within 5 s or 10 % |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for remembering, name in ((False, "unknown"), (True, "remembered")):
        for spread in SPREADS:
            print(row(name, spread, list(looks(spread, remembering=remembering))))


if __name__ == "__main__":
    main()
