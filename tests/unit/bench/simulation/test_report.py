"""The claims of docs/scale.md hold for the shipped assumptions."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from bench.simulation import assumptions, report
from bench.simulation.report import CHOSEN, Row

NUMBERS = assumptions.load()


@pytest.fixture(scope="module")
def rows() -> dict[str, Row]:
    return {row.scaling: row for row in report.simulate(NUMBERS, [1_000], ["aws_example"])}


def test_the_chosen_scaling_is_several_times_faster_than_the_documented_example(
    rows: dict[str, Row],
) -> None:
    chosen, example = rows[CHOSEN].outcome, rows["aws_example"].outcome
    assert chosen.p95_seconds < example.p95_seconds / 3
    assert chosen.usd_per_video < example.usd_per_video * 1.2


def test_a_thousand_videos_a_day_cost_less_than_processing_jobs(rows: dict[str, Row]) -> None:
    assert rows[CHOSEN].outcome.usd_per_video < NUMBERS.baselines_usd.processing_jobs


def test_hardly_any_request_loses_its_instance(rows: dict[str, Row]) -> None:
    assert rows[CHOSEN].interrupted_per_1000 < 2
    assert rows["aws_example"].interrupted_per_1000 > 5


def test_a_line_names_the_volume_the_cost_and_the_ratio_to_both_baselines(
    rows: dict[str, Row],
) -> None:
    cells = report.line(rows[CHOSEN], NUMBERS).split(" | ")
    cost = rows[CHOSEN].outcome.usd_per_video
    assert cells[0] == "| 1,000"
    assert cells[2:5] == [f"{cost:.3f}", f"{cost / 0.13:.2f}x", f"{cost / 3.24:.3f}x"]
    assert report.HEADER.splitlines()[0].count("|") == report.line(rows[CHOSEN], NUMBERS).count("|")


def test_an_impossible_assumption_is_refused_by_name(tmp_path: Path) -> None:
    text = assumptions.SHIPPED.read_text("utf-8").replace(
        "duration_seconds: 600", "duration_seconds: 0"
    )
    broken = tmp_path / "assumptions.yaml"
    broken.write_text(text, "utf-8")
    with pytest.raises(ValidationError, match="duration_seconds"):
        assumptions.load(broken)


def test_plots_are_svg_files_with_the_volumes_in_them(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="installed by `make simulate` only")
    from bench.simulation import plots

    short = NUMBERS.model_copy(update={"simulated_days": {100: 1, 1_000: 1}})
    rows = list(report.simulate(short, [100, 1_000], ["aws_example"]))
    written = plots.save_all(rows, NUMBERS, tmp_path)
    assert [path.suffix for path in written] == [".svg"] * 3
    assert all(path.stat().st_size > 5_000 for path in written)
