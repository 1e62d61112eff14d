"""Runs of every volume under every way to scale, as a table."""

from collections.abc import Iterable, Iterator, Sequence

from bench.simulation.assumptions import Assumptions
from bench.simulation.stack import Outcome, Stack
from screener.model import Message

CHOSEN = "chosen"


class Row(Message):
    scaling: str
    """`CHOSEN`, or the name of an alternative."""
    outcome: Outcome

    @property
    def interrupted_per_1000(self) -> float:
        """Requests whose instance was removed while it worked, per 1,000 requests."""
        uses = self.outcome.endpoints.values()
        return 1_000 * sum(use.interrupted for use in uses) / len(uses) / self.outcome.videos

    @property
    def most_instances(self) -> int:
        return max(use.most_instances for use in self.outcome.endpoints.values())


def simulate(
    assumptions: Assumptions, volumes: Sequence[int], alternatives: Iterable[str]
) -> Iterator[Row]:
    """One row per volume and way to scale, the chosen one first."""
    ways = {CHOSEN: assumptions} | {name: assumptions.with_scaling(name) for name in alternatives}
    for volume in volumes:
        for name, way in ways.items():
            yield Row(scaling=name, outcome=Stack(way, volume).run())


HEADER = (
    "| videos/day | scaling | USD/video | vs $0.13 | vs $3.24 | p50 | p95 | busy | "
    "instances | cold starts/video | interrupted/1,000 | transitions |\n"
    "|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
)


def line(row: Row, assumptions: Assumptions) -> str:
    """The row in Markdown."""
    outcome, baselines = row.outcome, assumptions.baselines_usd
    uses = outcome.endpoints.values()
    cold_starts = sum(use.cold_starts for use in uses) / outcome.videos
    busy = sum(use.utilisation for use in uses) / len(uses)
    cells = [
        f"{outcome.videos_per_day:,}",
        row.scaling.replace("_", " "),
        f"{outcome.usd_per_video:.3f}",
        f"{outcome.usd_per_video / baselines.processing_jobs:.2f}x",
        f"{outcome.usd_per_video / baselines.managed_services:.3f}x",
        _clock(outcome.p50_seconds),
        _clock(outcome.p95_seconds),
        f"{busy:.0%}",
        f"{row.most_instances}",
        f"{cold_starts:.2f}",
        f"{row.interrupted_per_1000:.1f}",
        f"{outcome.transitions_per_video:.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
