"""The tables that `bench/servers.py` prints."""

from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """One stage; times in seconds for the whole material."""

    stage: str
    baseline_s: float
    ours_s: float
    baseline_cpu_s: float
    ours_cpu_s: float
    """Processor time of all threads: what stays true on a machine that is busy otherwise."""
    peak_mb: float
    networks_cpu_s: float | None
    """The networks alone; None where there is no such measure."""
    arithmetic_cpu_s: float | None
    """Their multiplications at the measured rate of large matrix products."""


class StartUp(NamedTuple):
    server: str
    ready_s: float
    ready_cpu_s: float
    first_answer_s: float
    resident_mb: float


def speed(rows: Sequence[Row]) -> str:
    """Markdown table of the stages."""
    lines = [
        "| stage | obvious script | server | ratio | processor time: script | server | ratio "
        "| networks alone | arithmetic | peak memory |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.stage} | {row.baseline_s:.2f} s | {row.ours_s:.2f} s "
        f"| **{row.baseline_s / row.ours_s:.1f}x** "
        f"| {row.baseline_cpu_s:.2f} s | {row.ours_cpu_s:.2f} s "
        f"| **{row.baseline_cpu_s / row.ours_cpu_s:.1f}x** "
        f"| {_seconds(row.networks_cpu_s)} | {_seconds(row.arithmetic_cpu_s)} "
        f"| {row.peak_mb:.0f} MB |"
        for row in rows
    ]
    return "\n".join(lines)


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


def document(
    rows: Sequence[Row],
    starts: Sequence[StartUp],
    *,
    machine: str,
    gemm_rate: float,
    frames: int,
    audio_s: float,
) -> str:
    """The whole report."""
    parts = [
        "# Model servers: measured",
        f"{machine}; float32 matrix products at {gemm_rate / 1e9:.0f} GFLOP/s per core. "
        f"Material: {frames} frames of 1280x720, {audio_s:.0f} s of speech. "
        "Made by `python -m bench.servers`.",
        speed(rows),
    ]
    if starts:
        parts += ["From process start, with one frame or two seconds of audio:", start_up(starts)]
    return "\n\n".join(parts) + "\n"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} s"
