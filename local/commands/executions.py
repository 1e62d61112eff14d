"""`screener executions` and `screener show`."""

import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from botocore.exceptions import ClientError
from rich.table import Table
from rich.text import Text

from local.commands.place import stack_folder
from local.runs.outcome import parse_document
from local.runs.records import ExecutionRecord, RecordFolder, list_executions
from local.runs.terminal_text import output_console, safe
from local.runs.verdict_text import print_verdict
from local.stack.deploy import Services
from local.stack.description import StackDescription
from screener.document import Document
from screener.errors import ScreenerError
from screener.storage import S3Location

_STATUS_STYLE = {
    "SUCCEEDED": "green",
    "RUNNING": "cyan",
    "FAILED": "red",
    "TIMED_OUT": "red",
    "ABORTED": "red",
}


class UnknownExecution(ScreenerError):
    """No execution goes by the name that was given."""


def executions(
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many.", min=1)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON each.")] = False,
) -> None:
    """List executions, newest first: of the stack that is up and of those before it.

    Example: screener executions --limit 5
    """
    records = list(islice(all_records(stack_folder().running()), limit))
    if as_json:
        for record in records:
            sys.stdout.write(record.model_dump_json() + "\n")
        return
    if not records:
        sys.stderr.write("no executions yet. Start one: screener run VIDEO\n")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("started", "status", "verdict", "seconds", "video", "execution"):
        table.add_column(title, overflow="fold" if title == "execution" else "ellipsis")
    for record in records:
        result = record.progress.result
        seconds = (
            f"{(record.stopped_at - record.started_at).total_seconds():.1f}"
            if record.stopped_at
            else ""
        )
        table.add_row(
            f"{record.started_at.astimezone():%Y-%m-%d %H:%M:%S}",
            Text(record.status, style=_STATUS_STYLE.get(record.status, "")),
            f"{result.decision} ({result.status})" if result else "",
            seconds,
            safe(Path(record.video_key).name, 40),
            safe(record.name),
        )
    output_console().print(table)


def show(
    name: Annotated[
        str,
        typer.Argument(
            help="An execution's name or ARN, or a video: its file name or key.",
            show_default=False,
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Show one execution: its steps, its analyses, and its verdict. The newest that fits.

    Example: screener show clip.mp4
    """
    stack = stack_folder().running()
    record = find_record(name, all_records(stack))
    if as_json:
        sys.stdout.write(record.model_dump_json(indent=2) + "\n")
        return
    console = output_console()
    console.print(Text(safe(record.name), style="bold"))
    console.print(
        Text(
            f"{record.status}  {safe(record.video_key)}", style=_STATUS_STYLE.get(record.status, "")
        )
    )
    if record.error or record.cause:
        console.print(Text(safe(f"{record.error or ''}: {record.cause or ''}", 2000), style="red"))
    console.print(_steps(record))
    result = record.progress.result
    if result is None:
        return
    document = _document(record, stack)
    if document is not None and stack is not None:
        print_verdict(console, document, stack.missing)
    else:
        console.print(f"{result.decision} ({result.status})")
    console.out(f"document  {result.document}", highlight=False)


def all_records(stack: StackDescription | None) -> Iterator[ExecutionRecord]:
    """Executions of the stack that is up, then those that earlier stacks left; newest first."""
    if stack is not None:
        client = Services(stack.endpoint_url).stepfunctions
        yield from list_executions(client, stack.state_machine_arn)
    yield from RecordFolder(stack_folder().executions).read()


def find_record(name: str, records: Iterable[ExecutionRecord]) -> ExecutionRecord:
    """The record that a user means by `name`: the newest that fits best.

    Raises:
        UnknownExecution: none fits.
    """
    best: dict[int, ExecutionRecord] = {}
    for record in records:
        for rank, fits in enumerate((_is_exactly, _is_video, _begins_with)):
            if fits(record, name):
                best.setdefault(rank, record)
        if 0 in best:
            break
    if not best:
        raise UnknownExecution(f"no execution is called {name!r}, and none screened such a video")
    return best[min(best)]


def _is_exactly(record: ExecutionRecord, name: str) -> bool:
    return name in (record.name, record.arn)


def _begins_with(record: ExecutionRecord, name: str) -> bool:
    return record.name.startswith(name)


def _is_video(record: ExecutionRecord, name: str) -> bool:
    return name == record.video_key or Path(name).name == Path(record.video_key).name


def _document(record: ExecutionRecord, stack: StackDescription | None) -> Document | None:
    """The document of an execution whose stack still has it."""
    if stack is None or not record.live or record.progress.result is None:
        return None
    location = S3Location.parse(record.progress.result.document)
    try:
        answer = Services(stack.endpoint_url).s3.get_object(
            Bucket=location.bucket, Key=location.key
        )
    except ClientError:
        return None  # a user may delete documents
    return parse_document(answer["Body"].read())


def _steps(record: ExecutionRecord) -> Table:
    table = Table.grid(padding=(0, 2))
    for step in record.progress.steps:
        seconds = (
            f"{(step.ended_at - step.started_at).total_seconds():.2f} s" if step.ended_at else ""
        )
        table.add_row(f"  {step.name}", step.status, seconds)
        if step.name == "AnalyzeMedia":
            for run in record.progress.analyses:
                took = (
                    f"{(run.ended_at - run.started_at).total_seconds():.2f} s"
                    if run.ended_at
                    else ""
                )
                note = safe(run.error, 200) if run.error else ""
                table.add_row(
                    f"    {run.analyzer} #{run.chunk}", run.status or "running", took, note
                )
    return table
