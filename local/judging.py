"""The commands around policies, people and reports, as the `screener` command mounts them."""

import typer

from local.evaluate import cli as evaluate
from local.faces.cli import app as faces
from local.policies.cli import app as policies
from local.rejudge import cli as rejudge
from local.report import cli as report


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(name="report", help=report.HELP)(report.report)
    app.command(name="rejudge", help=rejudge.HELP)(rejudge.rejudge)
    app.command(name="evaluate", help=evaluate.HELP)(evaluate.evaluate)
    app.add_typer(policies, name="policy")
    app.add_typer(faces, name="faces")
