"""Progress of screenings while they run: a live table on a terminal, plain lines elsewhere."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from local.runs.progress import AnalysisRun, RunProgress, Step, StepStatus
from local.runs.screening import Phase, Screening
from local.runs.terminal_text import safe
from screener.messages import AnalysisStatus, PlannedStatus

_ANALYSIS_STYLE = {
    AnalysisStatus.SUCCEEDED: ("✓", "green"),
    AnalysisStatus.FAILED: ("✗", "red"),
    AnalysisStatus.TIMED_OUT: ("✗", "red"),
}
# Until an analyzer is planned there is no row for it; these are not run at all.
_NOT_RUN = {
    PlannedStatus.REUSED: "reused",
    PlannedStatus.SKIPPED: "skipped",
    PlannedStatus.NOT_DEPLOYED: "not deployed",
}


class Display(Protocol):
    """Shows screenings; used as a context."""

    def __enter__(self) -> "Display": ...

    def __exit__(self, *_: object) -> None: ...

    def update(self, screenings: Sequence[Screening]) -> None: ...


class LiveDisplay:
    """Redraws in place."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=8, transient=True)

    def __enter__(self) -> "LiveDisplay":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def update(self, screenings: Sequence[Screening]) -> None:
        self._live.update(Group(*(_block(screening) for screening in screenings)))


class PlainDisplay:
    """Prints a line whenever something changed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: dict[int, set[str]] = {}

    def __enter__(self) -> "PlainDisplay":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def update(self, screenings: Sequence[Screening]) -> None:
        for number, screening in enumerate(screenings):
            said = self._said.setdefault(number, set())
            name = safe(screening.path.name, 40)
            for line in _facts(screening):
                if line not in said:
                    said.add(line)
                    self._console.print(
                        f"{screening.elapsed_seconds:6.1f} s  {name}  {line}",
                        markup=False,
                        highlight=False,
                        soft_wrap=True,
                    )


def _facts(screening: Screening) -> list[str]:
    """What has happened so far, one line each; a line once true stays true."""
    facts = []
    if screening.phase is not Phase.WAITING:
        facts.append("uploading")
    if screening.phase not in (Phase.WAITING, Phase.UPLOADING):
        facts.append("uploaded, waiting for its event")
    if screening.slow_to_start:
        facts.append("still waiting: the stack may be busy, see `screener logs`")
    progress = screening.progress
    if progress is None:
        return facts
    for step in progress.steps:
        facts.append(step.name)
        if step.name == "PlanAnalyses":
            facts += _plan_facts(progress)
    for run in progress.analyses:
        facts.append(f"{_label(run)} started")
        if run.status is not None:
            facts.append(f"{_label(run)} {run.status.replace('_', ' ')}{_error(run)}")
    return facts


def _plan_facts(progress: RunProgress) -> list[str]:
    return [
        f"{analyzer} {_NOT_RUN[summary.status]}"
        for analyzer, summary in (progress.plan or {}).items()
        if summary.status in _NOT_RUN
    ]


def _block(screening: Screening) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    table.add_column(width=2)
    table.add_column(min_width=18)
    table.add_column(justify="right", min_width=7)
    table.add_column(overflow="ellipsis", no_wrap=True)
    title = Text(safe(screening.path.name, 60), style="bold")
    title.append(f"  {screening.elapsed_seconds:.1f} s", style="dim")
    if screening.phase is Phase.UPLOADING:
        share = screening.sent_bytes / max(screening.size_bytes, 1)
        table.add_row(Spinner("dots"), "Upload", f"{share:.0%}", "")
    elif screening.phase is Phase.QUEUED:
        note = "the stack may be busy, see `screener logs`" if screening.slow_to_start else ""
        table.add_row(Spinner("dots"), "waiting for its event", "", Text(note, style="yellow"))
    if screening.progress:
        _add_progress(table, screening.progress)
    return Group(title, table)


def _add_progress(table: Table, progress: RunProgress) -> None:
    for step in progress.steps:
        table.add_row(_step_mark(step), step.name, _seconds(step.started_at, step.ended_at), "")
        if step.name == "AnalyzeMedia":
            for run in progress.analyses:
                _add_analysis(table, run)
            for line in _plan_facts(progress):
                table.add_row("", Text(f"  {line}", style="dim"), "", "")


def _add_analysis(table: Table, run: AnalysisRun) -> None:
    seconds = _seconds(run.started_at, run.ended_at)
    if run.status is None:
        table.add_row(Spinner("dots"), f"  {_label(run)}", seconds, "")
        return
    mark, style = _ANALYSIS_STYLE[run.status]
    table.add_row(
        Text(mark, style=style),
        f"  {_label(run)}",
        seconds,
        Text(_error(run).removeprefix(": "), style=style),
    )


def _step_mark(step: Step) -> RenderableType:
    match step.status:
        case StepStatus.DONE:
            return Text("✓", style="green")
        case StepStatus.FAILED:
            return Text("✗", style="red")
        case _:
            return Spinner("dots")


def _seconds(started_at: datetime, ended_at: datetime | None) -> str:
    """How long it took, or has taken so far."""
    return f"{((ended_at or datetime.now(UTC)) - started_at).total_seconds():.1f} s"


def _label(run: AnalysisRun) -> str:
    return run.analyzer.value if run.chunk == 0 else f"{run.analyzer} #{run.chunk}"


def _error(run: AnalysisRun) -> str:
    return f": {safe(run.error, 200)}" if run.error else ""
