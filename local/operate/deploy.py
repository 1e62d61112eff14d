"""From a checkout to a running stack: images, packs, build, deploy, smoke test.

SageMaker's images are not built by SAM, and must be in ECR by digest before the stack that
names them. So this publishes first, notes what it published in build/deploy/ENV.json, and hands
the digests to `sam deploy` as parameters.
"""

import base64
import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from local.operate.doctor import examine
from local.operate.environments import (
    Environment,
    Published,
    published_file,
    read_environment,
    read_published,
)
from local.operate.findings import Finding, Verdict
from local.operate.smoke import Target, smoke
from local.operate.stacks import Clients, stack_outputs
from local.packs.publish import Target as PacksTarget
from local.packs.publish import publish_packs
from local.packs.selection import select_packs
from screener.errors import ScreenerError
from screener.observations import Analyzer

SMOKE_SECONDS = 2_700.0
"""All four endpoints wake from zero: half an hour at worst, and the work."""
ARTIFACTS_TEMPLATE = "operations/artifacts.yaml"
IMAGES_FILE = "docker-bake.hcl"


class Step(StrEnum):
    """In order."""

    DOCTOR = "doctor"
    ARTIFACTS = "artifacts"
    IMAGES = "images"
    PACKS = "packs"
    STACK = "stack"
    SMOKE = "smoke"


class DeployFailed(ScreenerError):
    """A step failed; the message says which and what is left undone."""


class Run(Protocol):
    """Runs a program in the checkout; the seam for tests."""

    def __call__(self, command: Sequence[str], *, stdin: str | None = None) -> None: ...


def run_in(root: Path) -> Run:
    """The real one: output goes to the terminal, a failure is a `DeployFailed`."""

    def run(command: Sequence[str], *, stdin: str | None = None) -> None:
        try:
            subprocess.run(command, cwd=root, input=stdin, text=True, check=True)
        except FileNotFoundError as cause:
            raise DeployFailed(f"{command[0]} is not installed") from cause
        except subprocess.CalledProcessError as cause:
            raise DeployFailed(
                f"{' '.join(command[:3])} … ended with {cause.returncode}"
            ) from cause

    return run


@dataclass(frozen=True)
class Deployer:
    """Deploys one environment."""

    root: Path
    home: Path
    """SCREENER_HOME, whose packs are published."""
    name: str
    client: Clients
    run: Run
    say: Callable[[str], None]

    def deploy(self, steps: Sequence[Step]) -> None:
        """Take the steps, in their order.

        Raises:
            DeployFailed: a step failed.
            ConfigurationError: samconfig.toml is wrong.
        """
        for step in Step:
            if step in steps:
                self.say(f"== {step}")
                getattr(self, f"_{step}")()

    @property
    def environment(self) -> Environment:
        return read_environment(self.name, self.root)

    @property
    def _artifacts_stack(self) -> str:
        return f"{self.environment.stack_name}-artifacts"

    def _doctor(self) -> None:
        findings = list(examine(self.environment, self.client))
        for finding in findings:
            self.say(describe(finding))
        # Images and packs of a first deploy are not there yet; the next steps publish them.
        later = {"images", "packs"}
        if any(one.verdict is Verdict.PROBLEM and one.topic not in later for one in findings):
            raise DeployFailed("the doctor found problems; nothing was changed")

    def _artifacts(self) -> None:
        self.run(
            [
                *(_sam(self.root), "deploy", "--template-file", ARTIFACTS_TEMPLATE),
                *("--stack-name", self._artifacts_stack, "--region", self.environment.region),
                *("--no-fail-on-empty-changeset", "--resolve-s3"),
            ]
        )

    def _images(self) -> None:
        if not (self.root / IMAGES_FILE).is_file():
            raise DeployFailed(f"no {IMAGES_FILE} in {self.root}: there are no images to build")
        outputs = stack_outputs(self.client("cloudformation"), self._artifacts_stack)
        repositories = {
            analyzer: outputs[f"{analyzer.capitalize()}RepositoryUri"] for analyzer in Analyzer
        }
        self._log_in()
        digests = self.root / "build" / "deploy" / "images.json"
        digests.parent.mkdir(parents=True, exist_ok=True)
        self.run(
            [
                *(
                    "docker",
                    "buildx",
                    "bake",
                    "--file",
                    IMAGES_FILE,
                    "--metadata-file",
                    str(digests),
                ),
                *(part for one in _push_by_digest(repositories) for part in ("--set", one)),
                *(str(analyzer) for analyzer in Analyzer),
            ]
        )
        built = json.loads(digests.read_text("utf-8"))
        self._publish(
            {
                f"{analyzer.capitalize()}ImageUri": (
                    f"{repository}@{built[str(analyzer)]['containerimage.digest']}"
                )
                for analyzer, repository in repositories.items()
            }
        )

    def _log_in(self) -> None:
        (login,) = self.client("ecr").get_authorization_token()["authorizationData"]
        user, _, password = base64.b64decode(login["authorizationToken"]).decode().partition(":")
        # Through standard input: a password on the command line is for everybody to see.
        self.run(
            ["docker", "login", "--username", user, "--password-stdin", login["proxyEndpoint"]],
            stdin=password,
        )

    def _packs(self) -> None:
        outputs = stack_outputs(self.client("cloudformation"), self._artifacts_stack)
        target = PacksTarget(outputs["PacksBucketName"], "")
        parameters = {}
        for analyzer, packs in select_packs(self.home).items():
            if not packs:
                self.say(f"{analyzer}: no pack is installed, so it is left out")
                continue
            published = publish_packs(self.client("s3"), target, analyzer, packs, self.say)
            self.say(
                f"{analyzer}: {published.uploaded} uploaded, {published.present} there already"
            )
            parameters[f"{analyzer.capitalize()}Packs"] = published.uri
        self._publish(parameters)

    def _publish(self, parameters: Mapping[str, str]) -> None:
        known = {**read_published(self.name, self.root).parameters, **parameters}
        path = published_file(self.name, self.root)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Published(parameters=known).model_dump_json(indent=1), encoding="utf-8")

    def _stack(self) -> None:
        self.run([_sam(self.root), "build"])
        self.run(
            [
                *(_sam(self.root), "deploy", "--config-env", self.name),
                *("--parameter-overrides", *overrides(self.environment)),
            ]
        )

    def _smoke(self) -> None:
        outputs = stack_outputs(self.client("cloudformation"), self.environment.stack_name)
        document = smoke(
            self.client("s3"),
            self.client("stepfunctions"),
            Target(
                media_bucket=outputs["MediaBucketName"],
                upload_prefix=self.environment.parameters["UploadPrefix"],
                state_machine_arn=outputs["StateMachineArn"],
            ),
            self.root / "assets" / "sample.mp4",
            patience_seconds=SMOKE_SECONDS,
            say=self.say,
        )
        self.say(f"smoke test: {document.status}, {document.verdict.decision}")


def overrides(environment: Environment) -> list[str]:
    """Every parameter, as `sam deploy --parameter-overrides` takes it.

    All of them: of one that is left out SAM keeps the value of the deploy before, so that nothing
    could ever go back to its default.

    Raises:
        DeployFailed: a value that SAM would change on its way.
    """
    return [_quoted(name, value) for name, value in sorted(environment.parameters.items())]


def _quoted(name: str, value: str) -> str:
    """SAM ends a bare value at the first quotation mark or space: JSON would lose all but "{"."""
    if "\\" in value:
        raise DeployFailed(f"{name}: SAM cannot be given a value with a backslash")
    escaped = value.replace('"', '\\"')
    return f'{name}="{escaped}"'


def describe(finding: Finding) -> str:
    """One line for the terminal."""
    remedy = f"\n         -> {finding.remedy}" if finding.remedy else ""
    return f"{finding.verdict:>8}  {finding.topic}: {finding.found}{remedy}"


def _push_by_digest(repositories: Mapping[Analyzer, str]) -> list[str]:
    settings = ["*.platform=linux/amd64"]  # GPU instances are x86
    for analyzer, repository in repositories.items():
        # No tag: the stack names digests, and tags are immutable.
        output = f"type=image,name={repository},push=true,push-by-digest=true"
        settings += [f"{analyzer}.tags=", f"{analyzer}.output={output}"]
    return settings


def _sam(root: Path) -> str:
    return str(root / ".venv-sam" / "bin" / "sam")
