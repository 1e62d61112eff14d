"""The tables that `python -m bench` prints."""

from collections.abc import Sequence
from typing import NamedTuple

from bench.cost import Cost


class Row(NamedTuple):
    """One stage; times for the whole of its material."""

    stage: str
    baseline: Cost
    ours: Cost
    floor: str = ""
    """Processor time that no arrangement of the same work goes below, and of what."""


class StartUp(NamedTuple):
    server: str
    ready_s: float
    ready_cpu_s: float
    first_answer_s: float
    resident_mb: float


HEAD = (
    "| stage | baseline | ours | ratio | processor time: baseline | ours | ratio "
    "| peak memory: baseline | ours | floor, processor time |\n|" + "---|" * 10
)


def line(row: Row) -> str:
    theirs, ours = row.baseline, row.ours
    return (
        f"| {row.stage} | {theirs.seconds:.2f} s | {ours.seconds:.2f} s "
        f"| **{theirs.seconds / ours.seconds:.1f}x** "
        f"| {theirs.cpu_s:.2f} s | {ours.cpu_s:.2f} s | **{theirs.cpu_s / ours.cpu_s:.1f}x** "
        f"| {_megabytes(theirs)} | {_megabytes(ours)} | {row.floor} |"
    )


def speed(rows: Sequence[Row]) -> str:
    """Markdown table of the stages."""
    return "\n".join([HEAD, *map(line, rows)])


def start_up(rows: Sequence[StartUp]) -> str:
    """Markdown table of the start-up times."""
    lines = [
        "| server | ready | processor time | first answer | memory |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.server} | {row.ready_s:.2f} s | {row.ready_cpu_s:.2f} s "
        f"| {row.first_answer_s:.2f} s | {row.resident_mb:.0f} MB |"
        for row in rows
    ]
    return "\n".join(lines)


def _megabytes(cost: Cost) -> str:
    return f"{cost.peak_mb:.0f} MB" if cost.peak_mb else ""
