"""`screener policy`: check, explain and compare policies."""

from typing import Annotated

import boto3
import typer
from rich.console import Console
from rich.text import Text

from local.commands.place import home
from local.packs import select_packs
from local.policies.embedding import embed_at_endpoint, embed_here, has_clip
from local.policies.reading import policy_bytes, read_policy
from local.policies.review import answers_of, differences, warnings
from local.policies.using import BucketConfiguration, HomeConfiguration, use_policy
from local.runs.terminal_text import safe
from screener import aws, taxonomy
from screener.document import Decision
from screener.errors import InvalidPolicy
from screener.observations import Analyzer
from screener.policy.loading import Preset, preset_bytes
from screener.policy.model import Policy, Rule

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
    for rule in given.rules:
        console.print(Text(safe(f"{rule.decision.value:<8}{_condition(rule)}"), style="bold"))
        by_source: dict[str, list[str]] = {}
        for answer in answers_of(rule, given):
            by_source.setdefault(answer.source.value, []).append(answer.condition)
        for source, conditions in by_source.items():
            console.print(Text(safe(f"        {source}: {'; '.join(conditions)}")))
        if not by_source:
            console.print(Text("        nothing can find it", style="yellow"))
        if rule.decision is not Decision.APPROVE:
            console.print(Text(f"        not evaluated: {rule.if_not_evaluated}", style="dim"))
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
def use(
    policy: PolicyName,
    work_bucket: Annotated[
        str | None, typer.Option(help="Of a stack in AWS. Default: this machine's own stack.")
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(help="Objects endpoint that embeds the scene prompts; default: packs here."),
    ] = None,
) -> None:
    """Put a policy into use, with the embeddings of its scene prompts.

    Videos from now on are judged by it; `screener rejudge` applies it to those before.

    Example: [bold]screener policy use policy.yaml[/bold]
    """
    given = _read(policy)
    data = preset_bytes(Preset(policy)) if policy in set(Preset) else policy_bytes(policy)
    packs = select_packs(home())[Analyzer.OBJECTS]
    embeddings = None
    if not given.scenes.scenes:
        pass
    elif endpoint is not None:
        if work_bucket is None:
            raise typer.BadParameter("--endpoint needs --work-bucket")
        embeddings = embed_at_endpoint(
            given, endpoint, aws.s3(), boto3.client("sagemaker-runtime"), work_bucket
        )
    elif has_clip(packs):
        embeddings = embed_here(given, packs)
    else:
        typer.echo("warning: no CLIP pack here, so scenes stay not evaluated", err=True)
    place = BucketConfiguration(work_bucket) if work_bucket else HomeConfiguration(home())
    for address in use_policy(place, data, given, embeddings):
        typer.echo(address)
    if work_bucket is None:
        typer.echo("The local stack uses it from its next start.")


@app.command()
def show(preset: Annotated[Preset, typer.Argument(help="Which one.")] = Preset.BALANCED) -> None:
    """Print a shipped policy, as a start for your own.

    Example: [bold]screener policy show balanced > policy.yaml[/bold]
    """
    typer.echo(preset_bytes(preset).decode("utf-8"), nl=False)


def _condition(rule: Rule) -> str:
    text = " > ".join(taxonomy.load().names(rule.category))
    if rule.sources is not None:
        text += f", seen by {' or '.join(source.value for source in rule.sources)}"
    if rule.min_confidence:
        text += f", from {rule.min_confidence:g}"
    if rule.min_total_ms:
        text += f", for {rule.min_total_ms / 1000:g} s in all"
    return text


def _read(name: str) -> Policy:
    try:
        return read_policy(name)
    except InvalidPolicy as error:
        for line in str(error).splitlines():
            typer.echo(safe(line), err=True)
        raise typer.Exit(INVALID) from error
