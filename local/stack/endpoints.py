"""The inference endpoints of the local stack: one per analyzer whose packs are installed."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.async_inference.service import EndpointSpec
from local.packs import missing_packs, packs_digest, select_packs
from local.stack.naming import REGION, STACK_NAME
from screener.observations import Analyzer
from screener.packs import InstalledPack

INSTANCE_TYPE = "local"
IDLE_SECONDS = 60
"""An instance that had nothing to do for this long is stopped."""

# The template wants an image of ECR for every deployed analyzer; here processes serve.
_NO_IMAGE = f"{'0' * 12}.dkr.ecr.{REGION}.amazonaws.com/local@sha256:{'0' * 64}"

# Faces without a recogniser can be counted but not compared: not the analysis that was asked for.
_NEEDED_ROLES = {Analyzer.FACES: {"detector", "recogniser"}}


@dataclass(frozen=True)
class LocalAnalyzers:
    """Which analyzers this machine has the packs for."""

    packs: Mapping[Analyzer, list[InstalledPack]]
    """Of the deployed analyzers."""
    missing: Mapping[Analyzer, list[str]]
    """analyzer -> the commands that get what it lacks; also for deployed ones that lack a role."""

    def parameters(self) -> dict[str, str]:
        """Template parameters that declare exactly these analyzers."""
        values = {}
        for analyzer, packs in self.packs.items():
            name = analyzer.capitalize()
            values[f"{name}ImageUri"] = _NO_IMAGE
            values[f"{name}Packs"] = f"s3://local-packs/{analyzer}/{packs_digest(packs)}/"
            values[f"{name}InstanceType"] = INSTANCE_TYPE
            # One server already uses every core; a second one only holds the weights twice.
            values[_max_instances(analyzer)] = "1"
        return values

    def specs(
        self,
        *,
        root: Path,
        work_bucket: str,
        topic_arn: str,
        servers: Mapping[Analyzer, Sequence[str]],
        parameters: Mapping[str, str],
        keep_warm: bool = False,
    ) -> list[EndpointSpec]:
        """What the async-inference service runs.

        Args:
            root: the checkout that has the model servers.
            work_bucket: gets outputs and failures.
            topic_arn: hears of every request that ends.
            servers: commands that replace the model servers of some analyzers.
            parameters: of the template, which limit the instances.
            keep_warm: one instance each from the start on, instead of none.
        """
        return [
            EndpointSpec(
                name=endpoint_name(analyzer),
                command=servers.get(
                    analyzer, [sys.executable, "-m", "model_servers.serving", str(analyzer)]
                ),
                environment={
                    "SCREENER_PACKS": os.pathsep.join(str(pack.folder) for pack in packs),
                    "PYTHONPATH": str(root),
                },
                output_uri=f"s3://{work_bucket}/async/output/{analyzer}/",
                failure_uri=f"s3://{work_bucket}/async/failure/{analyzer}/",
                min_instances=1 if keep_warm else 0,
                max_instances=int(parameters[_max_instances(analyzer)]),
                scale_in_after_seconds=IDLE_SECONDS,
                success_topic_arn=topic_arn,
                error_topic_arn=topic_arn,
            )
            for analyzer, packs in self.packs.items()
        ]


def _max_instances(analyzer: Analyzer) -> str:
    return f"{analyzer.capitalize()}MaxInstances"


def endpoint_name(analyzer: Analyzer) -> str:
    return f"{STACK_NAME}-{analyzer}"


def find_analyzers(home: Path) -> LocalAnalyzers:
    """Look at the installed packs.

    Args:
        home: SCREENER_HOME.

    Raises:
        InvalidPack: a folder below `packs/` does not hold a pack.
    """
    packs = {
        analyzer: installed
        for analyzer, installed in select_packs(home).items()
        if installed and {one.pack.role for one in installed} >= _NEEDED_ROLES.get(analyzer, set())
    }
    missing = {analyzer: commands for analyzer, commands in missing_packs(home).items() if commands}
    return LocalAnalyzers(packs=packs, missing=missing)
