"""How a screening ended: exit code, and what is said about it."""

from enum import IntEnum
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from local.runs.progress import RunProgress
from local.runs.screening import Screening
from screener.document import Decision, Document, DocumentStatus
from screener.model import Message


class ExitCode(IntEnum):
    """Of `screener run`; with several videos, the highest."""

    APPROVE = 0
    REVIEW = 1
    REJECT = 2
    PARTIAL = 3
    INVALID = 4
    USAGE = 64
    INTERNAL = 70


class RunOutcome(Message):
    """The result of `screener run` for one video; a line of `--json`."""

    path: Path
    exit_code: int
    execution: str | None
    """Name of the execution."""
    execution_status: str | None
    seconds: float
    """From the start of the upload to the end of the execution."""
    document_path: Path | None
    report_path: Path | None = None
    """The page that explains the document; None when it was not asked for."""
    document: dict[str, Any] | None
    error: str | None
    """What went wrong inside the stack; None when a document tells the result."""


def exit_code_of(document: Document) -> ExitCode:
    """The code that a document stands for."""
    if document.status is DocumentStatus.INVALID:
        return ExitCode.INVALID
    if document.status is DocumentStatus.PARTIAL:
        return ExitCode.PARTIAL
    return {
        Decision.APPROVE: ExitCode.APPROVE,
        Decision.REVIEW: ExitCode.REVIEW,
        Decision.REJECT: ExitCode.REJECT,
    }[document.verdict.decision]


def parse_document(content: bytes) -> Document | None:
    """The document; None when it does not follow its schema."""
    try:
        return Document.model_validate_json(content)
    except ValidationError:
        return None


def failure_of(screening: Screening) -> str | None:
    """What went wrong inside the stack, when no document tells it."""
    record = screening.record
    if record is None:
        return "its execution never started"
    if record.status == "SUCCEEDED" or _is_redrivable(record.progress):
        return None
    where = next((step.name for step in record.progress.steps if step.status == "failed"), "")
    cause = f": {record.cause}" if record.cause else ""
    return f"{record.status} in {where or 'the state machine'}: {record.error or ''}{cause}"


def _is_redrivable(progress: RunProgress) -> bool:
    return progress.result is not None and progress.result.redrivable
