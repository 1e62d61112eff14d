"""`screener doctor`, `deploy`, `replay`, `cost`, `teardown`."""

import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from local.commands.place import ROOT, home, stack_that_is_up
from local.operate import cost as costs
from local.operate import replay as replays
from local.operate import teardown as teardowns
from local.operate.deploy import Deployer, Step, describe, run_in
from local.operate.doctor import examine
from local.operate.environments import read_environment
from local.operate.findings import Verdict
from local.operate.prices import DEFAULT_INSTANCE, SPEEDS
from local.operate.stacks import clients_in, stack_outputs
from local.runs.terminal_text import safe
from local.stack.deploy import Services
from screener import pricing
from screener.errors import ConfigurationError
from screener.observations import Analyzer

EnvironmentName = Annotated[
    str, typer.Option("--env", "-e", help="Environment of samconfig.toml, such as dev or prod.")
]

REPLAY_HELP = """Run failed executions once more; what succeeded is not done again.

[bold]Examples[/bold]

  screener replay --failed --since 24h
  screener replay --failed --since 7d --stack screener-prod --dry-run
"""


def register(app: typer.Typer) -> None:
    """Add the commands to the `screener` command."""
    app.command()(doctor)
    app.command()(deploy)
    app.command(help=REPLAY_HELP)(replay)
    app.command()(cost)
    app.command()(teardown)


def doctor(env: EnvironmentName = "dev") -> None:
    """Find what would go wrong at a deploy, before it costs anything. Changes nothing.

    Example: screener doctor --env prod
    """
    worst = 0
    environment = read_environment(env, ROOT)
    for finding in examine(environment, clients_in(environment.region)):
        _say(describe(finding))
        worst = max(worst, list(Verdict).index(finding.verdict))
    if worst == list(Verdict).index(Verdict.PROBLEM):
        raise typer.Exit(1)


def deploy(
    env: EnvironmentName = "dev",
    only: Annotated[
        list[Step] | None, typer.Option("--only", help="Only these steps; may be repeated.")
    ] = None,
) -> None:
    """Publish images and packs, deploy the stack, send a video through it.

    Example: screener deploy --env dev --only stack --only smoke
    """
    client = clients_in(read_environment(env, ROOT).region)
    Deployer(root=ROOT, home=home(), name=env, client=client, run=run_in(ROOT), say=_say).deploy(
        only or list(Step)
    )


def replay(
    failed: Annotated[
        bool, typer.Option("--failed", help="Every failed, timed out or aborted execution.")
    ] = False,
    since: Annotated[str, typer.Option(help="How far back: 90m, 24h, 7d, or an instant.")] = "24h",
    stack: Annotated[
        str | None, typer.Option(help="Stack on AWS; without it the local stack that is up.")
    ] = None,
    region: Annotated[str | None, typer.Option(help="Region of the stack on AWS.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Help text: REPLAY_HELP."""
    if not failed:
        raise ConfigurationError("say what to replay: screener replay --failed --since 24h")
    if stack is None:
        local_stack = stack_that_is_up()
        client = Services(local_stack.endpoint_url).stepfunctions
        machine = local_stack.state_machine_arn
    else:
        aws = clients_in(region)
        machine = stack_outputs(aws("cloudformation"), stack)["StateMachineArn"]
        client = aws("stepfunctions")
    now = datetime.now(UTC)
    candidates = list(replays.find_failed(client, machine, replays.parse_since(since, now)))
    for one in candidates:
        _say(f"{one.way}: {safe(one.key)} ({one.status}, {one.why})")
    count = sum(one.way is not replays.Way.NOTHING for one in candidates)
    if not count:
        _say(f"nothing to replay since {since}")
        return
    if dry_run or not (yes or typer.confirm(f"Replay {count}?")):
        return
    for done in replays.replay(client, machine, candidates, now):
        _say(f"{done.way}: {safe(done.execution_arn)}")


def cost(
    videos_per_day: Annotated[float, typer.Option(help="Uploads per day.", min=0.001)],
    minutes: Annotated[float, typer.Option(help="Length of a video.", min=0.01)],
    fps: Annotated[float, typer.Option(help="Frames kept per second of video.", min=0.01)] = 1.0,
    instance_type: Annotated[
        str | None, typer.Option(help="For every endpoint, such as ml.g5.xlarge.")
    ] = None,
    private_network: Annotated[bool, typer.Option("--private-network")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """What a stack costs: standing still, per video, per month. No AWS account needed.

    Example: screener cost --videos-per-day 1000 --minutes 10
    """
    types = dict.fromkeys(Analyzer, instance_type) if instance_type else DEFAULT_INSTANCE
    load = costs.Load(
        videos_per_day=videos_per_day,
        minutes=minutes,
        frames_per_second=fps,
        instance_types=types,
        private_network=private_network,
    )
    result = costs.estimate(load)
    if as_json:
        sys.stdout.write(result.model_dump_json() + "\n")
        return
    _print_costs(result, load)


def _print_costs(result: costs.Estimate, load: costs.Load) -> None:
    console = Console()
    table = Table("endpoint", "instance", "busy s", "idle s", "waking s", "USD per video", box=None)
    for analyzer, one in result.endpoints.items():
        seconds = (one.busy_seconds, one.idle_seconds, one.waking_seconds)
        table.add_row(
            analyzer, one.instance_type, *(f"{s:.0f}" for s in seconds), f"{one.total_usd:.4f}"
        )
    for name, usd in result.other_per_video.items():
        table.add_row(name, "", "", "", "", f"{usd:.4f}")
    console.print(table)
    _say("")
    _say(f"a video, endpoints awake and busy with others   USD {result.busy_per_video_usd:.4f}")
    _say(f"a video, with its share of waking and idling    USD {result.per_video_usd:.4f}")
    items = ", ".join(f"{name} {usd:.2f}" for name, usd in result.idle_month.items())
    _say(
        f"a month in which nothing comes                  USD {result.idle_month_usd:.2f} ({items})"
    )
    _say(
        f"a month at {load.videos_per_day:g} videos a day".ljust(48) + f"USD {result.month_usd:.2f}"
    )
    _say("")
    _say(f"Prices: {pricing.PRICE_LIST}. Assumptions:")
    _say_all(f"  {name} = {value:g}" for name, value in costs.Assumptions())
    _say_all(
        f"  {analyzer}: {one.overhead_seconds:g} s + {one.seconds_per_unit:g} s per {one.unit}"
        f" ({one.source})"
        for analyzer, one in SPEEDS.items()
    )
    _say("  uploads at random times; one instance per endpoint (`make simulate` drops both)")


def teardown(
    env: EnvironmentName,
    delete_data: Annotated[
        bool, typer.Option("--delete-data", help="Work bucket, table and key as well.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a stack on AWS, and say what is left that costs money.

    Example: screener teardown --env dev
    """
    environment = read_environment(env, ROOT)
    aws = clients_in(environment.region)
    cloudformation = aws("cloudformation")
    media_bucket = stack_outputs(cloudformation, environment.stack_name)["MediaBucketName"]
    leftovers = teardowns.find_leftovers(cloudformation, environment.stack_name)
    what = "with its observations, rows and policy" if delete_data else "and keep its data"
    if not yes and typer.prompt(f"Delete {environment.stack_name} {what}? Type its name") != (
        environment.stack_name
    ):
        raise typer.Abort
    teardowns.delete_stack(cloudformation, environment.stack_name)
    _say(f"deleted: stack {environment.stack_name}")
    if delete_data:
        _say_all(teardowns.delete_data(aws, leftovers, media_bucket))
        return
    for left in leftovers:
        _say(f"left: {left.kind} {left.name} ({left.cost})")
    _say(f"left: packs and images in stack {environment.stack_name}-artifacts")


def _say_all(lines: Iterable[str]) -> None:
    for line in lines:
        _say(line)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
