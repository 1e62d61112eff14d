"""`screener up`, `down`, `status` and `logs`."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from local.commands.place import ROOT, home, stack_folder
from local.runs.terminal_text import output_console, safe
from local.stack.description import StackDescription
from local.stack.instance import StackSilent
from local.stack.launcher import StackProcess, stop_announced
from screener.observations import Analyzer

DEFAULT_PORT = 4580
_LOOK_SECONDS = 0.5

UP_HELP = """Keep the local stack running.

Prints the variables with which the `aws` command, boto3 and every other AWS client use it.
Videos uploaded below the upload prefix are screened as they arrive.

Examples:

  screener up --detach

  (eval "$(screener up --detach)"; aws s3 cp clip.mp4 s3://screener-local-media-bucket/uploads/)
"""


def up(
    port: Annotated[
        int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)
    ] = DEFAULT_PORT,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when it is ready; `screener down` ends it.")
    ] = False,
) -> None:
    folder = stack_folder()
    with folder.exclusive():
        running = folder.running()
        if running is not None:
            sys.stderr.write("already up\n")
            _print_exports(running)
            return
        process = StackProcess(
            folder, root=ROOT, home=home(), port=port, announce=True, detach=detach
        )
    _print_exports(process.description)
    if detach:
        return
    sys.stderr.write("Ctrl-C ends it\n")
    try:
        while process.running:
            time.sleep(_LOOK_SECONDS)
    except KeyboardInterrupt:
        sys.stderr.write("stopping …\n")
    finally:
        process.stop()


def down() -> None:
    """End the stack that `screener up` started, with everything it runs.

    Example: screener down
    """
    folder = stack_folder()
    with folder.exclusive():
        try:
            running = folder.running()
        except StackSilent as silent:
            running = silent.stack
        if running is None:
            sys.stderr.write("no local stack is up\n")
            return
        stop_announced(running, folder)
    sys.stderr.write("the local stack is down\n")


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Show the stack that is up; exit code 1 when none is.

    Example: screener status
    """
    running = stack_folder().running()
    if running is None:
        sys.stderr.write("no local stack is up. Start one: screener up --detach\n")
        raise typer.Exit(1)
    if as_json:
        sys.stdout.write(running.model_dump_json(indent=2) + "\n")
        return
    table = Table.grid(padding=(0, 2))
    for name, value in (
        ("endpoint", running.endpoint_url),
        ("since", running.started_at),
        ("uploads", f"s3://{running.media_bucket}/{running.upload_prefix}"),
        ("work bucket", running.work_bucket),
        ("state machine", running.state_machine_arn),
        ("logs", str(running.logs)),
    ):
        table.add_row(name, safe(value))
    for analyzer in Analyzer:
        deployed = "deployed" if analyzer in running.endpoints else "not deployed"
        commands = " && ".join(running.missing.get(analyzer, []))
        table.add_row(analyzer, deployed + (f"; lacks: {commands}" if commands else ""))
    output_console().print(table)


def logs(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Part of a log's name, such as `extract` or `faces`.", show_default=False
        ),
    ] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of each.", min=1)] = 40,
) -> None:
    """Print the ends of the logs of the last stack: its own, the functions', the model servers'.

    Example: screener logs faces --lines 100
    """
    instance = stack_folder().latest_instance()
    found = [
        file
        for file in sorted((instance / "logs").rglob("*.log") if instance else [])
        if (name is None or name in file.name) and file.stat().st_size
    ]
    if not found:
        sys.stderr.write("no such log\n" if instance else "no stack was started yet\n")
        raise typer.Exit(1)
    for file in found:
        sys.stdout.write(f"==> {file} <==\n")
        for line in _last_lines(file, lines):
            sys.stdout.write(safe(line) + "\n")


def _last_lines(file: Path, count: int) -> Iterator[str]:
    with file.open("rb") as source:
        source.seek(max(0, file.stat().st_size - count * 2000))
        yield from source.read().decode("utf-8", "replace").splitlines()[-count:]


def _print_exports(stack: StackDescription) -> None:
    for variable, value in stack.credentials.items():
        sys.stdout.write(f"export {variable}={value}\n")
    sys.stdout.write(f"# aws s3 cp clip.mp4 s3://{stack.media_bucket}/{stack.upload_prefix}\n")
    sys.stdout.flush()
