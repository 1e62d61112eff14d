"""A document in words, for the terminal."""

from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from local.runs.terminal_text import safe
from screener.document import AnalysisReport, AnalysisState, Decision, Document, DocumentStatus
from screener.observations import Analyzer

SHOWN_REASONS = 12
NOTHING_FOUND = "No finding asks for this: something was not looked at, so a person has to."
_DECISION_STYLE = {
    Decision.APPROVE: "bold green",
    Decision.REVIEW: "bold yellow",
    Decision.REJECT: "bold red",
}
_STATE_STYLE = {
    AnalysisState.COMPLETE: "green",
    AnalysisState.SKIPPED: "dim",
    AnalysisState.NOT_DEPLOYED: "yellow",
    AnalysisState.FAILED: "red",
    AnalysisState.TIMED_OUT: "red",
}


def print_verdict(
    console: Console, document: Document, missing: Mapping[Analyzer, Iterable[str]]
) -> None:
    """Decision, reasons with their times, analyses, and what to do about those that are missing.

    Args:
        console: where to.
        document: what to tell.
        missing: analyzer -> commands that get the packs it lacks on this machine.
    """
    decision = document.verdict.decision
    line = Text(decision.upper(), style=_DECISION_STYLE[decision])
    if document.status is not DocumentStatus.COMPLETE:
        line.append(f"  ({document.status})", style="yellow")
    console.print(line, soft_wrap=True)
    if document.verdict.only_unanswered:
        console.print(f"  {NOTHING_FOUND}", soft_wrap=True)
    reasons = document.verdict.reasons
    for reason in reasons[:SHOWN_REASONS]:
        where = f"{clock(reason.start_ms)}  " if reason.start_ms is not None else ""
        share = f"  {reason.confidence:.2f}" if reason.confidence is not None else ""
        text = Text("  ")
        text.append(f"{reason.decision:<8}", style=_DECISION_STYLE[reason.decision])
        text.append(f"{where}{safe(reason.detail, 300)}{share}")
        console.print(text, soft_wrap=True)
    if len(reasons) > SHOWN_REASONS:
        console.print(f"  … and {len(reasons) - SHOWN_REASONS} more in the document", style="dim")
    if document.analyses:
        console.print(_analyses(document.analyses))
    for text in _advice(document, missing):
        console.print(text, soft_wrap=True)


def clock(milliseconds: int) -> str:
    """83200 -> "1:23.2"."""
    # Cut to tenths first: rounding the seconds alone makes "0:60.0" of 59,999 ms.
    minutes, tenths = divmod(milliseconds // 100, 600)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{tenths / 10:04.1f}"
    return f"{hours}:{minutes:02d}:{seconds}" if hours else f"{minutes}:{seconds}"


def _analyses(analyses: Mapping[Analyzer, AnalysisReport]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column()
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    for analyzer, report in analyses.items():
        state = report.status.replace("_", " ") + (" (reused)" if report.reused else "")
        total = report.timings_ms.get("total")
        note = report.reason or ""
        if report.error:
            note = f"{report.error.type}: {report.error.message}"
        elif report.status is AnalysisState.COMPLETE:
            note = ", ".join(pack.name for pack in report.packs)
        table.add_row(
            f"  {analyzer}",
            Text(state, style=_STATE_STYLE[report.status]),
            f"{total / 1000:.1f} s" if total is not None else "",
            Text(safe(note, 300)),
        )
    return table


def _advice(document: Document, missing: Mapping[Analyzer, Iterable[str]]) -> list[Text]:
    """One line per thing that was not looked at, with what would change that."""
    lines: dict[str, None] = {}
    for analyzer, report in document.analyses.items():
        if report.status is AnalysisState.NOT_DEPLOYED:
            commands = " && ".join(missing.get(analyzer, ())) or report.action or ""
            lines[f"  {analyzer} is not deployed here. Get it: {commands}"] = None
        elif report.action:
            lines[f"  {analyzer}: {report.action}"] = None
    if others := document.video.other_audio_tracks:
        lines[f"  one of {others + 1} audio tracks was listened to, see audio_language"] = None
    for question in document.not_evaluated:
        if document.analyses[question.analysis].status is AnalysisState.COMPLETE:
            action = f". Get it: {question.action}" if question.action else ""
            lines[f"  {question.question} not evaluated: {question.reason}{action}"] = None
    return [Text(safe(line), style="yellow") for line in lines]
