"""`screener policy`: check, explain and compare policies."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from local.policies.reading import read_policy
from local.policies.review import answers_of, differences, warnings
from local.runs.terminal_text import safe
from screener import taxonomy
from screener.document import Decision
from screener.errors import InvalidPolicy
from screener.policy.loading import Preset, preset_bytes
from screener.policy.model import Policy

INVALID = 1

app = typer.Typer(
    help="Check, explain and compare policies.", no_args_is_help=True, rich_markup_mode="rich"
)
PolicyName = Annotated[
    str, typer.Argument(help="A file, an s3:// address, or strict, balanced, permissive.")
]


@app.command()
def check(policy: PolicyName) -> None:
    """Say whether a policy can be used, with file and line of every mistake.

    Example: [bold]screener policy check policy.yaml[/bold]
    """
    given = _read(policy)
    for warning in warnings(given):
        typer.echo(f"warning: {safe(warning)}", err=True)
    typer.echo(
        f"{safe(policy)}: policy {given.name} {given.version} is valid; sha256 {given.sha256}"
    )


@app.command()
def explain(policy: PolicyName = Preset.BALANCED.value) -> None:
    """Say in words what a policy decides, and what its answers come from.

    Example: [bold]screener policy explain strict[/bold]
    """
    given = _read(policy)
    console = Console(soft_wrap=True)
    console.print(Text(f"{given.name} {given.version}", style="bold"))
    if given.description:
        console.print(Text(safe(given.description)))
    required = ", ".join(name.value for name in given.required_analyses) or "none"
    console.print(Text(f"Without one of these analyses nothing is approved: {required}."))
    console.print(Text(f"Explicit nudity is decided by: {given.moderation.consensus.value}."))
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("decision", "when", "answered by", "else"):
        table.add_column(column, overflow="fold")
    for rule in given.rules:
        found = answers_of(rule, given)
        conditions = [" > ".join(taxonomy.load().names(rule.category))]
        if rule.min_confidence:
            conditions.append(f"from {rule.min_confidence:g}")
        if rule.min_total_ms:
            conditions.append(f"for {rule.min_total_ms / 1000:g} s in all")
        table.add_row(
            rule.decision.value,
            ", ".join(conditions),
            Text(safe("; ".join(f"{item.source.value}: {item.condition}" for item in found)))
            if found
            else Text("nothing", style="yellow"),
            "review if not evaluated"
            if rule.if_not_evaluated == "review" and rule.decision is not Decision.APPROVE
            else "",
        )
    console.print(table)
    console.print(Text("Everything else is approved."))


@app.command()
def diff(old: PolicyName, new: PolicyName) -> None:
    """List what differs between two policies. Exit code 1 when something does.

    Example: [bold]screener policy diff balanced policy.yaml[/bold]
    """
    found = differences(_read(old), _read(new))
    for item in found:
        before = "-" if item.old is None else item.old
        after = "-" if item.new is None else item.new
        typer.echo(safe(f"{item.path}: {before} -> {after}"))
    raise typer.Exit(1 if found else 0)


@app.command()
def show(preset: Annotated[Preset, typer.Argument(help="Which one.")] = Preset.BALANCED) -> None:
    """Print a shipped policy, as a start for your own.

    Example: [bold]screener policy show balanced > policy.yaml[/bold]
    """
    typer.echo(preset_bytes(preset).decode("utf-8"), nl=False)


def _read(name: str) -> Policy:
    try:
        return read_policy(name)
    except InvalidPolicy as error:
        for line in str(error).splitlines():
            typer.echo(safe(line), err=True)
        raise typer.Exit(INVALID) from error
