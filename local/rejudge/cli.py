"""`screener rejudge`: what would another policy say?"""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from local.policies.reading import read_policy
from local.rejudge.archive import Archive, BucketArchive, FolderArchive, NothingToJudge
from local.rejudge.workers import Judged, Task, judge_archive
from local.runs.terminal_text import safe
from screener import aws, storage
from screener.document import Decision
from screener.observation_store import read_object
from screener.policy.known_faces import (
    MAX_INDEX_BYTES,
    InvalidKnownFaces,
    KnownFaces,
    load_known_faces,
)

HELP = """Judge videos again with another policy, from stored observations.

[bold]screener rejudge s3://media/uploads/ --work-bucket WORK --policy new.yaml --dry-run[/bold]

[bold]screener rejudge documents/ --observations copy-of-work-bucket/ --policy strict[/bold]

No inference, no GPU. --dry-run writes nothing. A document whose observations have expired, or
that a newer run has replaced meanwhile, is left as it is and listed.
"""
SHOWN_CHANGES = 200


def rejudge(
    target: Annotated[
        str, typer.Argument(help="A video, a document or a prefix (s3://...), or a folder.")
    ],
    policy: Annotated[str, typer.Option(help="The new policy: a file or a preset.")],
    work_bucket: Annotated[
        str | None, typer.Option(help="Where the stack keeps observations.")
    ] = None,
    observations: Annotated[
        Path | None,
        typer.Option(help="A folder with a copy of them.", exists=True, file_okay=False),
    ] = None,
    known_faces: Annotated[
        Path | None,
        typer.Option(help="Index of known people. Default: the stack's own.", exists=True),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    table: Annotated[str | None, typer.Option(help="Summary table to keep in step.")] = None,
    event_bus: Annotated[str | None, typer.Option(help="Send events about new verdicts.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes. Default: cores.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line per document.")] = False,
) -> None:
    """Judge videos again with another policy, from stored observations."""
    archive = _archive(target, work_bucket, observations, table, event_bus)
    task = Task(
        archive=archive,
        policy=read_policy(policy),
        known=_known(known_faces, work_bucket, observations),
        dry_run=dry_run,
    )
    results = judge_archive(task, _some(archive.addresses(target), target), workers)
    if as_json:
        skipped = _print_lines(results)
    else:
        skipped = print_changes(Console(soft_wrap=True), results, dry_run=dry_run)
    raise typer.Exit(1 if skipped else 0)


def print_changes(console: Console, results: Iterable[Judged], *, dry_run: bool) -> int:
    """Print what changed and count it.

    Returns:
        How many documents were left as they are because they could not be judged.
    """
    confusion: Counter[tuple[Decision, Decision]] = Counter()
    changes = skipped = 0
    for item in results:
        if item.skipped is not None or item.old is None or item.new is None:
            skipped += 1
            # Errors about the document itself name it already.
            why = (item.skipped or "").removeprefix(f"{item.address}: ")
            line = safe(f"left as it is: {item.address}: {why}", 500)
            console.print(Text(line, style="yellow"))
            continue
        confusion[item.old, item.new] += 1
        if item.old is not item.new:
            changes += 1
            if changes <= SHOWN_CHANGES:
                line = f"{item.old.value} -> {item.new.value}  {item.address}  {item.reason}"
                console.print(Text(safe(line, 500)))
    if changes > SHOWN_CHANGES:
        console.print(Text(f"... and {changes - SHOWN_CHANGES} more changes"))
    table = Table(title="old verdict (rows) and new verdict (columns)", title_justify="left")
    table.add_column("")
    for new in Decision:
        table.add_column(new.value, justify="right")
    table.add_column("all", justify="right")
    for old in Decision:
        row = [confusion[old, new] for new in Decision]
        table.add_row(old.value, *map(str, row), str(sum(row)))
    totals = [sum(confusion[old, new] for old in Decision) for new in Decision]
    table.add_row("all", *map(str, totals), str(sum(totals)))
    console.print(table)
    verb = "would change" if dry_run else "changed"
    console.print(
        Text(f"{changes} of {sum(totals)} verdicts {verb}; {skipped} documents left as they are")
    )
    return skipped


def _print_lines(results: Iterable[Judged]) -> int:
    skipped = 0
    for item in results:
        skipped += item.skipped is not None
        sys.stdout.write(json.dumps(item._asdict()) + "\n")
    return skipped


def _archive(
    target: str,
    work_bucket: str | None,
    observations: Path | None,
    table: str | None,
    event_bus: str | None,
) -> Archive:
    if target.startswith("s3://"):
        if work_bucket is None:
            raise typer.BadParameter("--work-bucket says where the observations are")
        return BucketArchive(work_bucket, table, event_bus)
    if observations is None:
        raise typer.BadParameter("--observations names the folder with the observations")
    return FolderArchive(observations)


def _known(
    path: Path | None, work_bucket: str | None, observations: Path | None
) -> KnownFaces | InvalidKnownFaces | None:
    data: bytes | None = None
    if path is not None:
        data = path.read_bytes()
    elif work_bucket is not None:
        data = read_object(aws.s3(), work_bucket, storage.KNOWN_FACES_KEY, MAX_INDEX_BYTES)
    elif observations is not None and (observations / storage.KNOWN_FACES_KEY).exists():
        data = (observations / storage.KNOWN_FACES_KEY).read_bytes()
    if data is None:
        return None
    try:
        return load_known_faces(data)
    except InvalidKnownFaces as cause:
        return cause


def _some(addresses: Iterator[str], target: str) -> Iterator[str]:
    first = next(addresses, None)
    if first is None:
        raise NothingToJudge(f"{target}: no {storage.DOCUMENT_SUFFIX} there")
    yield first
    yield from addresses
