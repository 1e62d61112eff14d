"""Plots of the simulation for docs/scale.md."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot
from matplotlib.figure import Figure

from bench.simulation.assumptions import Assumptions
from bench.simulation.report import CHOSEN, Row

# The same picture must be the same bytes, or every run would be a change in git.
mpl.rcParams["svg.hashsalt"] = "screener"
_METADATA = {"Date": None}


def save_all(rows: Sequence[Row], assumptions: Assumptions, folder: Path) -> list[Path]:
    """Write the plots as SVG.

    Args:
        rows: from `report.simulate`; must hold the chosen scaling.
        assumptions: baselines to draw.
        folder: must exist.

    Returns:
        The files written.
    """
    by_way: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_way[row.scaling].append(row)
    return [
        _cost(by_way[CHOSEN], assumptions, folder / "scale-cost.svg"),
        _latency(by_way, folder / "scale-latency.svg"),
        _choice(by_way, folder / "scale-choice.svg"),
    ]


def _cost(rows: Sequence[Row], assumptions: Assumptions, target: Path) -> Path:
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    labels = [f"{row.outcome.videos_per_day:,}" for row in rows]
    endpoints = [row.outcome.endpoints_usd_per_video for row in rows]
    rest = [row.outcome.orchestration_usd_per_video for row in rows]
    axes.bar(labels, endpoints, label="endpoints")
    axes.bar(labels, rest, bottom=endpoints, label="Lambda, Step Functions, S3 requests")
    baselines = assumptions.baselines_usd
    axes.axhline(baselines.managed_services, color="firebrick", linestyle="--")
    axes.axhline(baselines.processing_jobs, color="darkorange", linestyle="--")
    axes.text(-0.4, baselines.managed_services * 1.08, "managed services, $3.24", fontsize=8)
    axes.text(2.5, baselines.processing_jobs * 1.08, "processing jobs, $0.13", fontsize=8)
    for place, row in enumerate(rows):
        axes.text(place, row.outcome.usd_per_video * 1.08, f"${row.outcome.usd_per_video:.3f}",
                  ha="center", fontsize=8)  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(0.005, 8)
    axes.set_xlabel("videos per day (10 minutes each)")
    axes.set_ylabel("USD per video")
    axes.set_title("Simulated cost of a 10-minute video")
    axes.legend(fontsize=8, loc="lower left")
    return _save(figure, target)


def _latency(by_way: dict[str, list[Row]], target: Path) -> Path:
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for name, rows in by_way.items():
        if name not in {CHOSEN, "aws_example", "one_always_on"}:
            continue
        volumes = [row.outcome.videos_per_day for row in rows]
        for percentile, style in (("p50_seconds", ":"), ("p95_seconds", "-")):
            minutes = [getattr(row.outcome, percentile) / 60 for row in rows]
            color = {CHOSEN: "C0", "aws_example": "C3", "one_always_on": "C2"}[name]
            label = f"{name.replace('_', ' ')}, {percentile[:3]}"
            axes.plot(volumes, minutes, style, marker="o", color=color, label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_yticks([1, 2, 5, 10, 20], labels=["1", "2", "5", "10", "20"])
    axes.set_xlabel("videos per day (10 minutes each)")
    axes.set_ylabel("minutes from upload to document")
    axes.set_title("Simulated latency")
    axes.legend(fontsize=8)
    return _save(figure, target)


def _choice(by_way: dict[str, list[Row]], target: Path) -> Path:
    volumes = sorted({row.outcome.videos_per_day for rows in by_way.values() for row in rows})
    shown = [volume for volume in volumes if volume <= 10_000]
    figure, panels = pyplot.subplots(
        1, len(shown), figsize=(2.9 * len(shown), 3.6), squeeze=False, layout="constrained"
    )
    for axes, volume in zip(panels[0], shown, strict=True):
        for name, rows in by_way.items():
            for row in rows:
                if row.outcome.videos_per_day == volume:
                    point = ([row.outcome.usd_per_video], [row.outcome.p95_seconds / 60])
                    label = name.replace("_", " ")
                    axes.plot(*point, "*" if name == CHOSEN else "o", label=label, markersize=9)
        axes.margins(0.2)
        axes.set_ylim(bottom=0)
        axes.tick_params(labelsize=7)
        axes.set_title(f"{volume:,} videos/day", fontsize=9)
        axes.set_xlabel("USD per video", fontsize=8)
        axes.set_ylabel("p95, minutes", fontsize=8)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8)
    return _save(figure, target)


def _save(figure: Figure, target: Path) -> Path:
    figure.savefig(target, metadata=_METADATA)
    pyplot.close(figure)
    return target
