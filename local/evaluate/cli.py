"""`screener evaluate`: which thresholds fit one's own videos?"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from local.evaluate.curves import Curve, Point, curve, interval
from local.evaluate.labels import Sample, UnusableLabels, read_samples
from local.evaluate.plot import curves_svg
from local.policies.reading import read_policy
from screener.policy.loading import DEFAULT_PRESET
from screener.policy.model import Policy

HELP = """Measure the nudity models on videos that people have labelled.

LABELS.csv has the columns document, unsafe (yes or no), and optionally start_ms and end_ms.

[bold]screener evaluate labels.csv --precision 0.95 --plot curves.svg[/bold]
"""
MODELS = ("nudenet", "opennsfw2", "both", "either")
SMALL_SET = 100


def evaluate(
    labels: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    precision: Annotated[
        float, typer.Option(min=0, max=1, help="Suggest thresholds that reach this precision.")
    ] = 0.95,
    recall: Annotated[
        float, typer.Option(min=0, max=1, help="Suggest thresholds that reach this recall.")
    ] = 0.95,
    policy: Annotated[
        str, typer.Option(help="Also say what this policy's thresholds do.")
    ] = DEFAULT_PRESET.value,
    plot: Annotated[Path | None, typer.Option(help="Write the curves as an SVG picture.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print numbers for programs.")] = False,
) -> None:
    """Measure the nudity models on videos that people have labelled."""
    samples = read_samples(labels)
    curves = measure(samples)
    given = read_policy(policy)
    if plot is not None:
        plot.write_text(curves_svg(curves, f"Models on {labels.name}"), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(_numbers(curves, samples, given, precision, recall), indent=2))
    else:
        _print(Console(soft_wrap=True), curves, samples, given, precision, recall)


def measure(samples: Sequence[Sample]) -> dict[str, Curve]:
    """The curve of each model that scored samples, and of the two together.

    Raises:
        UnusableLabels: no sample is unsafe.
    """
    curves = {}
    for model in MODELS:
        scored = [sample for sample in samples if model in sample.scores]
        if not scored:
            continue
        try:
            curves[model] = curve(
                np.array([sample.scores[model] for sample in scored]),
                np.array([sample.unsafe for sample in scored]),
            )
        except ValueError as cause:
            raise UnusableLabels(f"{model}: {cause}") from cause
    return curves


def at_policy(curves: Mapping[str, Curve], policy: Policy) -> dict[str, Point | None]:
    """What a policy's thresholds do, each model for itself. For NudeNet the lowest threshold of
    any label stands, because the documents keep the highest score of all explicit labels."""
    thresholds = {"opennsfw2": policy.moderation.opennsfw2_threshold}
    if policy.moderation.nudenet_thresholds:
        thresholds["nudenet"] = min(policy.moderation.nudenet_thresholds.values())
    return {
        model: curves[model].at(threshold)
        for model, threshold in sorted(thresholds.items())
        if model in curves
    }


def _print(
    console: Console,
    curves: Mapping[str, Curve],
    samples: Sequence[Sample],
    policy: Policy,
    precision: float,
    recall: float,
) -> None:
    unsafe = sum(sample.unsafe for sample in samples)
    console.print(Text(f"{len(samples)} labels, {unsafe} of them unsafe"))
    if len(samples) < SMALL_SET:
        console.print(Text(f"fewer than {SMALL_SET}: mind the intervals (95 %)", style="yellow"))
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("model", "what", "threshold", "precision", "recall", "F1"):
        table.add_column(column, justify="left" if column in ("model", "what") else "right")
    policy_points = at_policy(curves, policy)
    given = f"policy {policy.name}"
    for model, found in curves.items():
        rows: list[tuple[str, Point | None]] = [
            ("best F1", found.best),
            (f"precision {precision:g}", found.for_precision(precision)),
            (f"recall {recall:g}", found.for_recall(recall)),
        ]
        if model in policy_points:
            rows.append((given, policy_points[model]))
        for what, point in rows:
            if point is None:
                nothing = "flags nothing" if what == given else "none reaches it"
                table.add_row(model, what, nothing, "", "", "")
                continue
            table.add_row(
                model,
                what,
                f"{point.threshold:.3f}",
                _with_interval(point.precision, point.flagged),
                _with_interval(point.recall, found.positives),
                f"{point.f1:.3f}",
            )
    console.print(table)


def _with_interval(share: float, count: int) -> str:
    low, high = interval(share, count)
    return f"{share:.3f} ({low:.2f}-{high:.2f})"


def _numbers(
    curves: Mapping[str, Curve],
    samples: Sequence[Sample],
    policy: Policy,
    precision: float,
    recall: float,
) -> dict[str, Any]:
    def shown(point: Point | None) -> dict[str, float] | None:
        return None if point is None else {**point._asdict(), "f1": point.f1}

    policy_points = at_policy(curves, policy)
    return {
        "labels": len(samples),
        "unsafe": sum(sample.unsafe for sample in samples),
        "models": {
            model: {
                "average_precision": found.average_precision,
                "best": shown(found.best),
                "for_precision": shown(found.for_precision(precision)),
                "for_recall": shown(found.for_recall(recall)),
                "policy": shown(policy_points.get(model)),
                "curve": [shown(point) for point in found.points],
            }
            for model, found in curves.items()
        },
    }
