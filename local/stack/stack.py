"""The local stack: every service in one process, wired as the template says."""

import os
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from moto.core.config import default_user_config

from local.account import ACCOUNT_ID
from local.async_inference.service import AsyncInferenceService
from local.lambda_runtime.service import LambdaService
from local.policies.using import prepare_home
from local.runs.records import ExecutionRecord, list_executions
from local.stack.deploy import Deployment, Services, deploy
from local.stack.description import StackDescription
from local.stack.endpoints import LocalAnalyzers, endpoint_name, find_analyzers
from local.stack.environment import local_aws
from local.stack.event_router import EventRouter
from local.stack.gateway import HOST, Gateway, serve
from local.stack.naming import REGION
from local.stack.object_events import ObjectEvents
from local.stack.plan import StackPlan, key_suffixes, read_plan
from local.stack.queue_consumer import QueueConsumer
from screener import __version__
from screener.observations import Analyzer

_STOP_LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class StackSettings:
    """How to start a stack."""

    root: Path
    """The checkout: template.yaml, statemachine/, functions/, model_servers/."""
    home: Path
    """SCREENER_HOME, whose packs are served."""
    folder: Path
    """Logs and temporary files of this instance."""
    port: int = 0
    """0 takes a free one."""
    parameters: Mapping[str, str] | None = None
    """Template parameters that replace the local stack's own."""
    servers: Mapping[Analyzer, Sequence[str]] | None = None
    """Commands that replace the model servers of some analyzers."""
    keep_warm: bool = False
    """Start every model server at once and never scale to zero: for a stack that lives for one
    command, where an idle server saves nothing."""


class LocalStack:
    """Starts in the constructor; `close` ends every process that it started.

    Raises:
        TemplateError, InvalidPack: what is deployed is wrong.
        OSError: the port is taken.
    """

    def __init__(self, settings: StackSettings) -> None:
        self._closing = ExitStack()
        try:
            self.description = self._start(settings)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop taking work, then end functions, model servers and the server itself."""
        self._closing.close()

    def executions(self) -> Iterator[ExecutionRecord]:
        """Every execution so far, newest first."""
        return list_executions(self._services.stepfunctions, self.description.state_machine_arn)

    def _start(self, settings: StackSettings) -> StackDescription:
        analyzers = find_analyzers(settings.home)
        plan = read_plan(settings.root, {**analyzers.parameters(), **(settings.parameters or {})})
        gateway = Gateway()
        endpoint_url = self._serve(gateway, settings.port)
        services = self._services = Services(endpoint_url)
        logs = settings.folder / "logs"
        # They load their code on the other core while moto's interpreter is imported below.
        functions = self._start_functions(plan, endpoint_url, logs / "functions")
        deployment = deploy(plan, services)
        self._configure(settings.home, analyzers, plan.buckets["WorkBucket"].name, services)
        endpoints = AsyncInferenceService(
            analyzers.specs(
                root=settings.root,
                work_bucket=plan.buckets["WorkBucket"].name,
                topic_arn=deployment.topic_arns["AnalysisTopic"],
                servers=settings.servers or {},
                parameters=plan.parameters,
                keep_warm=settings.keep_warm,
            ),
            endpoint_url=endpoint_url,
            region=REGION,
            log_dir=logs / "endpoints",
        )
        self._closing.callback(endpoints.close)
        gateway.functions = functions
        gateway.endpoints = endpoints
        gateway.object_events = self._route_events(plan, deployment, services)
        self._consume_queues(plan, deployment, services, functions)
        description = _describe(settings, endpoint_url, plan, deployment, analyzers)
        gateway.description = description.model_dump_json().encode()
        return description

    def _configure(
        self, home: Path, analyzers: LocalAnalyzers, work_bucket: str, services: Services
    ) -> None:
        """Take along the home's own policy, index of known people and scene embeddings."""
        for key in prepare_home(home, analyzers.packs.get(Analyzer.OBJECTS, [])):
            services.s3.upload_file(str(home / key), work_bucket, key)

    def _start_functions(self, plan: StackPlan, endpoint_url: str, logs: Path) -> LambdaService:
        functions = LambdaService(
            [
                replace(spec, environment={**spec.environment, **local_aws(endpoint_url)})
                for spec in plan.functions.values()
            ],
            logs,
        )
        self._closing.callback(functions.close)
        for spec in plan.functions.values():
            functions.warm(spec.name)
        return functions

    def _serve(self, gateway: Gateway, port: int) -> str:
        server = serve(gateway, port)
        # moto's interpreter calls Lambda and SageMaker at this port.
        os.environ["MOTO_PORT"] = str(server.port)
        default_user_config["stepfunctions"] = {"execute_state_machine": True}
        threading.Thread(
            target=server.serve_forever, args=[_STOP_LOOK_SECONDS], name="gateway", daemon=True
        ).start()
        self._closing.callback(server.server_close)
        self._closing.callback(server.shutdown)
        return f"http://{HOST}:{server.port}"

    def _route_events(
        self, plan: StackPlan, deployment: Deployment, services: Services
    ) -> ObjectEvents:
        router = EventRouter(plan.rules.values(), deployment.queue_urls, services.sqs)
        events = ObjectEvents(
            services.s3,
            {bucket.name for bucket in plan.buckets.values() if bucket.sends_events},
            router.deliver,
            region=REGION,
            account=ACCOUNT_ID,
        )
        self._closing.callback(events.close)
        return events

    def _consume_queues(
        self,
        plan: StackPlan,
        deployment: Deployment,
        services: Services,
        functions: LambdaService,
    ) -> None:
        for mapping in plan.mappings:
            consumer = QueueConsumer(
                mapping,
                queue_url=deployment.queue_urls[mapping.queue_name],
                queue_arn=f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{mapping.queue_name}",
                sqs=services.sqs,
                invoke=functions.invoke,
                region=REGION,
            )
            self._closing.callback(consumer.close)


def _describe(
    settings: StackSettings,
    endpoint_url: str,
    plan: StackPlan,
    deployment: Deployment,
    analyzers: LocalAnalyzers,
) -> StackDescription:
    """Raises TemplateError when the template lacks one of the names that commands go by."""
    intake = plan.functions["StartScreeningFunction"].environment
    return StackDescription(
        instance=secrets.token_hex(8),
        pid=os.getpid(),
        root=settings.root,
        version=__version__,
        endpoint_url=endpoint_url,
        region=REGION,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        media_bucket=intake["MEDIA_BUCKET"],
        upload_prefix=plan.parameters["UploadPrefix"],
        work_bucket=intake["WORK_BUCKET"],
        intake_queue=deployment.queue_urls[plan.queues["IntakeQueue"].name],
        dead_letter_queue=deployment.queue_urls[plan.queues["IntakeDeadLetterQueue"].name],
        state_machine_arn=deployment.state_machine_arns["ScreeningStateMachine"],
        table=plan.tables["VideosTable"].request["TableName"],
        endpoints={analyzer: endpoint_name(analyzer) for analyzer in analyzers.packs},
        missing=dict(analyzers.missing),
        video_suffixes=key_suffixes(plan.rules["UploadRule"].pattern),
        folder=settings.folder,
    )
