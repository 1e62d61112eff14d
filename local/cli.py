"""The `screener` command."""

import sys
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, NoCredentialsError
from rich.console import Console
from rich.text import Text

from local import judging
from local.commands import executions, probe, redrive, run, stack
from local.operate import cli as operate
from local.packs.cli import app as packs
from local.runs.outcome import ExitCode
from local.runs.screening import NotAcceptable
from local.runs.terminal_text import safe
from screener import __version__
from screener.errors import ScreenerError

app = typer.Typer(
    name="screener",
    help="Moderate videos with open models, on this machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command(help=run.HELP)(run.run)
app.command(name="probe", help=probe.HELP)(probe.probe_command)
app.command(help=stack.UP_HELP)(stack.up)
app.command()(stack.down)
app.command()(stack.status)
app.command()(stack.logs)
app.command(name="executions")(executions.executions)
app.command()(executions.show)
app.command(help=redrive.HELP)(redrive.redrive)
app.add_typer(packs, name="packs")
operate.register(app)
judging.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"screener {__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point. Wrong usage is 64, because 2 is the verdict `reject`."""
    try:
        code = app(standalone_mode=False)
    except typer.Abort:
        code = 130
    except KeyboardInterrupt:
        code = 130
    except NotAcceptable as error:
        code = _fail(error, ExitCode.USAGE)
    except (ScreenerError, BotoCoreError, OSError) as error:
        code = _fail(error, ExitCode.INTERNAL)
    except Exception as error:
        # typer's own usage errors have no public base class; what they all have is `show`.
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        code = ExitCode.USAGE
    sys.exit(code)


def _fail(error: Exception, code: ExitCode) -> ExitCode:
    told = f"error: {safe_lines(error)}"
    if isinstance(error, NoCredentialsError):
        told += (
            ": `aws configure` sets them; `screener up --detach` prints those of the local stack"
        )
    Console(stderr=True, soft_wrap=True).print(Text(told, style="red"))
    return code


def safe_lines(error: Exception) -> str:
    """An error's message with its line breaks, and nothing else that acts on a terminal."""
    return "\n".join(safe(line) for line in str(error).splitlines())
