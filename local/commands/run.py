"""`screener run`."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from local.commands.place import ROOT, home
from local.commands.sampling import parse_sampling
from local.runs.display import Display, LiveDisplay, PlainDisplay
from local.runs.outcome import RunOutcome
from local.runs.screening import check_file
from local.runs.session import screen, some_stack
from local.runs.terminal_text import output_console, safe
from local.runs.verdict_text import print_verdict
from local.stack.description import StackDescription
from screener.document import Document

HELP = """Screen videos on the local stack, from upload to verdict.

Uses the stack that `screener up` started, or one of its own for as long as it takes. Each
document goes beside its video, or into --out.

Exit code: 0 approve, 1 review, 2 reject, 3 partial, 4 invalid; with several videos the highest.
64 wrong usage, 70 something failed inside.

Examples:

  screener run clip.mp4

  screener run *.mov --out documents --json | jq .document.verdict.decision

  screener run film.mp4 --sampling '{"strategy": "adaptive", "frames_per_second": 2}'
"""


def run(
    paths: Annotated[list[Path], typer.Argument(help="Video files.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the documents; made when missing.", file_okay=False),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One line of JSON per video on standard output.")
    ] = False,
    report: Annotated[
        bool, typer.Option(help="Also write the page that explains the verdict.")
    ] = True,
    sampling: Annotated[
        str | None,
        typer.Option(help="How frames are chosen, as JSON, on a stack of its own."),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Give up after this many seconds.", min=1)
    ] = None,
) -> None:
    for path in paths:
        check_file(path)
    progress = Console(stderr=True)
    # Progress on the error stream: standard output holds the result alone.
    display: Display = LiveDisplay(progress) if progress.is_terminal else PlainDisplay(progress)
    parameters = {"Sampling": parse_sampling(sampling).model_dump_json()} if sampling else {}
    with some_stack(ROOT, home(), lambda: _say_starting(progress), parameters) as stack:
        outcomes = screen(paths, stack, display, out=out, timeout_seconds=timeout, reports=report)
        if as_json:
            for outcome in outcomes:
                sys.stdout.write(outcome.model_dump_json() + "\n")
            sys.stdout.flush()
        else:
            for outcome in outcomes:
                _print_outcome(output_console(), outcome, stack)
    raise typer.Exit(max(outcome.exit_code for outcome in outcomes))


def _say_starting(console: Console) -> None:
    console.print("starting the local stack …", style="dim")


def _print_outcome(console: Console, outcome: RunOutcome, stack: StackDescription) -> None:
    title = Text(safe(outcome.path.name), style="bold")
    title.append(f"  {outcome.seconds:.1f} s", style="dim")
    console.print(title)
    if outcome.document is not None:
        document = Document.model_validate(outcome.document)
        print_verdict(console, document, stack.missing)
    if outcome.error is not None:
        console.print(Text(safe(outcome.error, 2000), style="red"), soft_wrap=True)
        console.out(f"logs      {stack.logs}", highlight=False)
    # Plain prints: a path must stay in one piece to be copied.
    console.out(f"video     {safe(str(outcome.path))}", highlight=False)
    if outcome.document_path is not None:
        console.out(f"document  {safe(str(outcome.document_path))}", highlight=False)
    if outcome.report_path is not None:
        console.out(f"report    {safe(str(outcome.report_path))}", highlight=False)
