"""Executions, live from a stack or as it left them when it ended."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from local.runs.progress import RunProgress, read_progress
from screener.model import Message

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

KEPT_RECORDS = 200


class ExecutionRecord(Message):
    """One execution."""

    name: str
    arn: str
    status: str
    started_at: datetime
    stopped_at: datetime | None
    input: dict[str, Any]
    error: str | None
    cause: str | None
    progress: RunProgress
    live: bool = False
    """Read from a running stack."""

    @property
    def video_key(self) -> str:
        return str(self.input.get("key", ""))


def read_execution(client: "SFNClient", arn: str) -> ExecutionRecord:
    """An execution as it stands.

    Raises:
        ClientError: there is no such execution.
    """
    described = client.describe_execution(executionArn=arn)
    return ExecutionRecord(
        name=described["name"],
        arn=arn,
        status=described["status"],
        started_at=described["startDate"],
        stopped_at=described.get("stopDate"),
        input=json.loads(described.get("input", "{}")),
        error=described.get("error"),
        cause=described.get("cause"),
        progress=read_progress(_history(client, arn)),
        live=True,
    )


def _history(client: "SFNClient", arn: str) -> Iterator[Any]:
    for page in client.get_paginator("get_execution_history").paginate(
        executionArn=arn, includeExecutionData=True
    ):
        yield from page["events"]


def list_executions(client: "SFNClient", state_machine_arn: str) -> Iterator[ExecutionRecord]:
    """Every execution of a state machine, newest first; each is read when it is asked for."""
    pages = client.get_paginator("list_executions").paginate(stateMachineArn=state_machine_arn)
    summaries = [one for page in pages for one in page["executions"]]
    for summary in sorted(summaries, key=lambda one: one["startDate"], reverse=True):
        yield read_execution(client, summary["executionArn"])


class RecordFolder:
    """Records of executions whose stack has ended."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def keep(self, records: Iterable[ExecutionRecord]) -> None:
        """Write records; the oldest beyond `KEPT_RECORDS` go."""
        self._path.mkdir(parents=True, exist_ok=True)
        for record in records:
            stamp = f"{record.started_at:%Y%m%dT%H%M%S%f}"
            file = self._path / f"{stamp}-{record.name}.json"
            partial = file.with_suffix(".partial")
            partial.write_text(
                record.model_copy(update={"live": False}).model_dump_json(), encoding="utf-8"
            )
            partial.replace(file)
        for old in self._files()[KEPT_RECORDS:]:
            old.unlink(missing_ok=True)

    def read(self) -> Iterator[ExecutionRecord]:
        """Newest first; a file that is no record (of this version) is left out."""
        for file in self._files():
            try:
                yield ExecutionRecord.model_validate_json(file.read_bytes())
            except (OSError, ValidationError):
                continue

    def _files(self) -> list[Path]:
        return sorted(self._path.glob("*.json"), reverse=True)
