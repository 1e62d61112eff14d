"""Failed executions once more: redriven where Step Functions can, started anew where not.

A redrive keeps what succeeded and runs on from the failed state. It needs a Standard execution
that ended less than 14 days ago and an unchanged definition. A new execution with the same
input starts from the beginning, finds extracted media and observations by their keys, and so
costs little more.
"""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from screener import identity
from screener.errors import ConfigurationError
from screener.model import Message

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.literals import ExecutionStatusType
    from mypy_boto3_stepfunctions.type_defs import ExecutionListItemTypeDef

ENDED_BADLY: "tuple[ExecutionStatusType, ...]" = ("FAILED", "TIMED_OUT", "ABORTED")
_LONGEST_RUN = timedelta(days=16)
"""From the start to the end of an execution: redriven on the last of 14 days, it may run for the
two of the state machine's timeout."""
_UNITS_SECONDS = {"m": 60, "h": 3_600, "d": 86_400}
_NOT_REDRIVABLE = frozenset({"ExecutionNotRedrivable", "NotImplemented", "UnknownOperation"})


class Way(StrEnum):
    REDRIVE = "redrive"
    NEW = "new execution"
    NOTHING = "nothing"


class Candidate(Message):
    """One failed execution and what would be done about it."""

    arn: str
    name: str
    status: str
    stopped_at: datetime
    bucket: str
    key: str
    way: Way
    why: str


class Replayed(Message):
    """What was done."""

    candidate: Candidate
    way: Way
    execution_arn: str


def parse_since(text: str, now: datetime) -> datetime:
    """`90m`, `24h`, `7d` before now, or an ISO 8601 instant.

    Raises:
        ConfigurationError: neither of these.
    """
    if found := re.fullmatch(r"([0-9]{1,6})([mhd])", text):
        return now - timedelta(seconds=int(found[1]) * _UNITS_SECONDS[found[2]])
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as cause:
        raise ConfigurationError(
            f"--since {text!r} is neither like 90m, 24h or 7d nor an instant like"
            " 2026-03-01T12:00:00+00:00"
        ) from cause
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def find_failed(
    client: "SFNClient", state_machine_arn: str, since: datetime
) -> Iterator[Candidate]:
    """Executions that ended badly since then, newest first by status.

    An execution whose video has been screened by a later one is left alone.

    Raises:
        ClientError: Step Functions refuses.
    """
    started_since = since - _LONGEST_RUN
    screened = _Screened(client, state_machine_arn, started_since)
    for status in ENDED_BADLY:
        for listed in _list(client, state_machine_arn, status, started_since):
            if listed["stopDate"] >= since:
                yield _candidate(client, listed["executionArn"], screened)


def _list(
    client: "SFNClient", state_machine_arn: str, status: "ExecutionStatusType", since: datetime
) -> "Iterator[ExecutionListItemTypeDef]":
    """Executions that started since then. Step Functions lists the latest first, and 90 days of a
    busy stack are hundreds of pages."""
    pages = client.get_paginator("list_executions")
    for page in pages.paginate(stateMachineArn=state_machine_arn, statusFilter=status):
        for listed in page["executions"]:
            if listed["startDate"] < since:
                return
            yield listed


def _candidate(client: "SFNClient", arn: str, screened: "_Screened") -> Candidate:
    described = client.describe_execution(executionArn=arn)
    request = json.loads(described.get("input", "{}"))
    bucket, key = str(request.get("bucket", "")), str(request.get("key", ""))
    if not bucket or not key:
        way, why = Way.NOTHING, "its input names no video"
    elif successor := screened.since(described["name"], described["startDate"]):
        way, why = Way.NOTHING, f"replayed already as {successor}"
    elif described.get("redriveStatus") == "REDRIVABLE":
        way, why = Way.REDRIVE, "runs on from where it failed"
    else:
        reason = described.get("redriveStatusReason") or "no redrive here"
        way, why = Way.NEW, f"{reason}; finished work is found again"
    return Candidate(
        arn=arn,
        name=described["name"],
        status=described["status"],
        stopped_at=described["stopDate"],
        bucket=bucket,
        key=key,
        way=way,
        why=why,
    )


class _Screened:
    """Successors that a replay started, by the name that they were derived from."""

    def __init__(self, client: "SFNClient", state_machine_arn: str, since: datetime) -> None:
        self._by_stem: dict[str, list[tuple[datetime, str]]] = {}
        superseding: tuple[ExecutionStatusType, ...] = ("RUNNING", "SUCCEEDED")
        for status in superseding:
            for listed in _list(client, state_machine_arn, status, since):
                stem = name_stem(listed["name"])
                started = (listed["startDate"], listed["name"])
                self._by_stem.setdefault(stem, []).append(started)

    def since(self, name: str, started: datetime) -> str | None:
        later = [one for one in self._by_stem.get(name_stem(name), []) if one[0] > started]
        return max(later)[1] if later else None


def name_stem(name: str) -> str:
    """What an execution and its replays have in common: the identity of the video's version."""
    return re.sub(r"-r[0-9]{10}$", "", name)[-identity.VIDEO_ID_LENGTH :]


def replay_name(name: str, now: datetime) -> str:
    """A new name that begins like the old one and can be told to be its replay."""
    suffix = f"-r{int(now.timestamp()):010d}"
    original = re.sub(r"-r[0-9]{10}$", "", name)
    # Cut at the front: the end is the identity of the video's version.
    return original[-(identity.EXECUTION_NAME_LIMIT - len(suffix)) :] + suffix


def replay(
    client: "SFNClient", state_machine_arn: str, candidates: Iterable[Candidate], now: datetime
) -> Iterator[Replayed]:
    """Redrive or start each candidate that something is to be done about.

    Raises:
        ClientError: Step Functions refuses for another reason than that a redrive is impossible.
    """
    for candidate in candidates:
        if candidate.way is Way.NOTHING:
            continue
        if candidate.way is Way.REDRIVE:
            try:
                client.redrive_execution(executionArn=candidate.arn)
            except ClientError as error:
                if error.response["Error"]["Code"] not in _NOT_REDRIVABLE:
                    raise
            else:
                yield Replayed(candidate=candidate, way=Way.REDRIVE, execution_arn=candidate.arn)
                continue
        started = client.start_execution(
            stateMachineArn=state_machine_arn,
            name=replay_name(candidate.name, now),
            input=client.describe_execution(executionArn=candidate.arn)["input"],
        )
        yield Replayed(candidate=candidate, way=Way.NEW, execution_arn=started["executionArn"])
