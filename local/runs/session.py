"""`screener run`: find or start a stack, screen videos on it, collect the outcomes."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import BotoCoreError, ClientError

from local.report.writing import s3_bundles, write_report
from local.runs.display import Display
from local.runs.outcome import (
    ExitCode,
    RunOutcome,
    exit_code_of,
    failure_of,
    parse_document,
)
from local.runs.screening import Phase, Screening, document_path, write_document
from local.stack.deploy import Services
from local.stack.description import StackDescription
from local.stack.instance import StackFolder
from local.stack.launcher import StackProcess
from screener.document import Document
from screener.errors import ScreenerError
from screener.storage import DOCUMENT_SUFFIX

_SHORTEST_LOOK_SECONDS = 0.15
_LONGEST_LOOK_SECONDS = 1.0


class StackLost(ScreenerError):
    """The stack stopped answering while it was used."""


class StackIsUp(ScreenerError):
    """A stack of its own was asked for while one is up."""


@contextmanager
def some_stack(
    root: Path,
    home: Path,
    on_start: Callable[[], None],
    parameters: Mapping[str, str] | None = None,
) -> Iterator[StackDescription]:
    """The stack that is up, or one that lives as long as the context.

    Args:
        root: the checkout.
        home: SCREENER_HOME.
        on_start: called before a stack is started.
        parameters: template parameters that differ from their defaults.

    Raises:
        StackFailed: none is up, and none could be started.
        StackIsUp: parameters are given, but the stack that is up has its own.
    """
    folder = StackFolder(home, root)
    running = folder.running()
    if running is not None:
        if parameters:
            raise StackIsUp(
                f"the stack that is up has its own {', '.join(parameters)}; `screener down` ends it"
            )
        yield running
        return
    on_start()
    process = StackProcess(
        folder, root=root, home=home, keep_warm=True, parameters=parameters or {}
    )
    try:
        yield process.description
    finally:
        process.stop()


def screen(
    paths: Sequence[Path],
    stack: StackDescription,
    display: Display,
    *,
    out: Path | None,
    timeout_seconds: float | None,
    reports: bool = True,
) -> list[RunOutcome]:
    """Screen files at the same time and write their documents.

    Args:
        paths: the videos.
        stack: where.
        display: told about every change.
        out: folder of the documents; None for beside each video.
        timeout_seconds: for all of them together; None waits as long as it takes.
        reports: also write the page that explains each document, beside it.

    Returns:
        One outcome per path, in order.

    Raises:
        NotAcceptable: one of the paths cannot be uploaded; nothing was then.
        StackLost: the stack stopped answering.
    """
    services = Services(stack.endpoint_url)
    screenings = [Screening(path, stack, services.s3, services.stepfunctions) for path in paths]
    deadline = time.monotonic() + timeout_seconds if timeout_seconds is not None else None
    try:
        with display:
            for screening in screenings:
                screening.upload(lambda: display.update(screenings))
            _follow(screenings, display, deadline)
        taken: set[Path] = set()
        outcomes = [_outcome(screening, out, taken) for screening in screenings]
        if not reports:
            return outcomes
        return [_reported(outcome, services, stack) for outcome in outcomes]
    except (BotoCoreError, ClientError, S3UploadFailedError) as cause:
        raise StackLost(f"the local stack does not answer as it should: {cause}") from cause


def _follow(screenings: Sequence[Screening], display: Display, deadline: float | None) -> None:
    pause = _SHORTEST_LOOK_SECONDS
    while True:
        for screening in screenings:
            screening.look()
        display.update(screenings)
        if all(screening.phase is Phase.ENDED for screening in screenings):
            return
        if deadline is not None and time.monotonic() > deadline:
            return
        time.sleep(pause)
        # Reading a long history costs more; nobody watches an hour of work in tenths of seconds.
        pause = min(pause * 1.02, _LONGEST_LOOK_SECONDS)


def _outcome(screening: Screening, out: Path | None, taken: set[Path]) -> RunOutcome:
    record = screening.record
    ended = screening.phase is Phase.ENDED
    content = screening.document() if ended else None
    document = parse_document(content) if content is not None else None
    error = failure_of(screening) if ended else _unfinished(screening)
    path = None
    if content is not None:
        path = document_path(screening.path, out, taken)
        try:
            write_document(path, content)
        except OSError as cause:
            # The others have their documents all the same.
            error, path = f"{path}: {cause.strerror}", None
        if document is None:
            error = error or "the document does not follow its schema"
    elif error is None:
        error = "the execution ended without a document"
    seconds = screening.elapsed_seconds
    if record is not None and record.stopped_at is not None:
        seconds = min(seconds, screening.seconds_until(record.stopped_at))
    return RunOutcome(
        path=screening.path,
        exit_code=exit_code_of(document) if document and not error else ExitCode.INTERNAL,
        execution=record.name if record else None,
        execution_status=record.status if record else None,
        seconds=round(seconds, 3),
        document_path=path,
        document=document.model_dump(mode="json") if document else None,
        error=error,
    )


def _reported(outcome: RunOutcome, services: Services, stack: StackDescription) -> RunOutcome:
    if outcome.document_path is None or outcome.document is None:
        return outcome
    document = Document.model_validate(outcome.document)
    name = outcome.document_path.name.removesuffix(DOCUMENT_SUFFIX)
    target = outcome.document_path.with_name(f"{name}.report.html")
    bundles = s3_bundles(services.s3, stack.work_bucket, document)
    try:
        report = write_report(document, target, open_bundle=bundles)
    except OSError as cause:
        error = outcome.error or f"{target}: {cause.strerror}"
        return outcome.model_copy(update={"error": error, "exit_code": ExitCode.INTERNAL})
    return outcome.model_copy(update={"report_path": report})


def _unfinished(screening: Screening) -> str:
    if screening.record is None:
        return "not started in time: see `screener logs`"
    running = [step.name for step in screening.record.progress.steps if step.ended_at is None]
    return f"not finished in time; still in {', '.join(running) or 'the state machine'}"
