"""`screener redrive`."""

import sys
import time
from typing import Annotated

import typer
from botocore.exceptions import ClientError

from local.commands.executions import find_record, show
from local.commands.place import stack_that_is_up
from local.runs.outcome import ExitCode
from local.runs.progress import ENDED_STATUSES
from local.runs.records import list_executions, read_execution
from local.runs.terminal_text import safe
from local.stack.deploy import Services
from screener.errors import ScreenerError

_LOOK_SECONDS = 0.2

HELP = """Continue a failed execution of the local stack where it failed.

Only what is missing runs again: stored observations are found. Waits for the end and shows it;
the exit code is 0 when the execution then succeeded, 3 when it failed again.

Example:

  screener redrive clip.mp4
"""


class NotRedrivable(ScreenerError):
    """An execution that cannot be continued; the message says why."""


def redrive(
    name: Annotated[
        str,
        typer.Argument(
            help="An execution's name or ARN, or a video: its file name or key.",
            show_default=False,
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    stack = stack_that_is_up()
    client = Services(stack.endpoint_url).stepfunctions
    record = find_record(name, list_executions(client, stack.state_machine_arn))
    try:
        client.redrive_execution(executionArn=record.arn)
    except client.exceptions.ExecutionNotRedrivable as refusal:
        raise NotRedrivable(_reason(refusal)) from refusal
    sys.stderr.write(f"redriven: {safe(record.name)}\n")
    record = read_execution(client, record.arn)
    while record.status not in ENDED_STATUSES:
        time.sleep(_LOOK_SECONDS)
        record = read_execution(client, record.arn)
    show(record.arn, as_json)
    raise typer.Exit(ExitCode.APPROVE if record.status == "SUCCEEDED" else ExitCode.PARTIAL)


def _reason(refusal: ClientError) -> str:
    return str(refusal.response["Error"]["Message"])
