"""What the template deploys, as typed specifications that `deploy.py` creates locally."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.lambda_runtime.service import FunctionSpec
from local.stack.naming import NOT_RUN_LOCALLY, PSEUDO_PARAMETERS, name_resource
from local.stack.parameters import TemplateError
from local.stack.template import Resource, Template

DEFAULT_CONCURRENCY = 8
"""Environments of one function at a time where the template reserves none: each is a process."""
# EventBridge operators that moto's matcher evaluates; it takes any other one for a match.
_EVENT_OPERATORS = frozenset(
    {"prefix", "suffix", "equals-ignore-case", "anything-but", "exists", "numeric", "wildcard"}
)


@dataclass(frozen=True)
class BucketSpec:
    name: str
    versioned: bool
    sends_events: bool
    """EventBridge gets an event for every object written."""


@dataclass(frozen=True)
class QueueSpec:
    name: str
    attributes: Mapping[str, str]
    """As CreateQueue takes them."""


@dataclass(frozen=True)
class RuleSpec:
    name: str
    pattern: str
    """The event pattern, JSON."""
    queue_names: tuple[str, ...]


@dataclass(frozen=True)
class MappingSpec:
    """An SQS event source of a function."""

    function_name: str
    queue_name: str
    batch_size: int
    batching_window_seconds: int
    maximum_concurrency: int
    reports_item_failures: bool
    filters: tuple[str, ...]
    """Event patterns, JSON; a message that matches none is thrown away. Empty takes all."""


@dataclass(frozen=True)
class StateMachineSpec:
    name: str
    definition: str


@dataclass(frozen=True)
class TableSpec:
    request: Mapping[str, Any]
    """As CreateTable takes it."""


@dataclass(frozen=True)
class StackPlan:
    """Everything that the local stack deploys."""

    buckets: Mapping[str, BucketSpec]
    queues: Mapping[str, QueueSpec]
    rules: Mapping[str, RuleSpec]
    functions: Mapping[str, FunctionSpec]
    mappings: tuple[MappingSpec, ...]
    state_machines: Mapping[str, StateMachineSpec]
    tables: Mapping[str, TableSpec]
    topics: Mapping[str, str]
    event_buses: Mapping[str, str]
    parameters: Mapping[str, Any]
    """The template's, with the values in force. All by logical id, except the mappings."""


def read_plan(root: Path, parameters: Mapping[str, str]) -> StackPlan:
    """The plan of `root`/template.yaml under these parameters.

    Raises:
        TemplateError: the template is wrong or uses what the local stack does not know.
    """
    template = Template.read(root / "template.yaml", parameters, PSEUDO_PARAMETERS, name_resource)
    return plan_of(template, root)


def plan_of(template: Template, root: Path) -> StackPlan:
    """Turn resolved resources into specifications.

    Raises:
        TemplateError: a resource, an event or a property has no local counterpart.
    """
    by_kind: dict[str, dict[str, Resource]] = {}
    for resource in template.resources(lambda kind: not NOT_RUN_LOCALLY.match(kind)):
        by_kind.setdefault(resource.type, {})[resource.logical_id] = resource

    def specs(kind: str, make: Callable[[Resource, str], Any]) -> dict[str, Any]:
        return {
            logical_id: make(resource, _physical_name(template, logical_id))
            for logical_id, resource in by_kind.pop(kind, {}).items()
        }

    functions = by_kind.get("AWS::Serverless::Function", {})
    plan = StackPlan(
        buckets=specs("AWS::S3::Bucket", _bucket),
        queues=specs("AWS::SQS::Queue", _queue),
        rules=specs("AWS::Events::Rule", _rule),
        mappings=tuple(
            _mapping(resource, event_name, event, _physical_name(template, name))
            for name, resource in functions.items()
            for event_name, event in resource.properties.get("Events", {}).items()
        ),
        functions=specs("AWS::Serverless::Function", lambda one, name: _function(one, name, root)),
        state_machines=specs(
            "AWS::StepFunctions::StateMachine", lambda one, name: _state_machine(one, name, root)
        ),
        tables=specs("AWS::DynamoDB::Table", _table),
        topics=specs("AWS::SNS::Topic", lambda _, name: name),
        event_buses=specs("AWS::Events::EventBus", lambda _, name: name),
        parameters=template.parameters,
    )
    if by_kind:
        raise TemplateError(f"the local stack does not know {', '.join(sorted(by_kind))}")
    return plan


def _physical_name(template: Template, logical_id: str) -> str:
    """What the service calls the resource: the last part of its `Ref`."""
    return re.split(r"[/:]", str(template.resolve({"Ref": logical_id})))[-1]


def _bucket(resource: Resource, name: str) -> BucketSpec:
    properties = resource.properties
    events = properties.get("NotificationConfiguration", {}).get("EventBridgeConfiguration", {})
    return BucketSpec(
        name=name,
        versioned=properties.get("VersioningConfiguration", {}).get("Status") == "Enabled",
        sends_events=events.get("EventBridgeEnabled", False) in (True, "true"),
    )


def _queue(resource: Resource, name: str) -> QueueSpec:
    attributes = {}
    for key in (
        "DelaySeconds",
        "MaximumMessageSize",
        "MessageRetentionPeriod",
        "ReceiveMessageWaitTimeSeconds",
        "VisibilityTimeout",
    ):
        if key in resource.properties:
            attributes[key] = str(resource.properties[key])
    if "RedrivePolicy" in resource.properties:
        attributes["RedrivePolicy"] = json.dumps(resource.properties["RedrivePolicy"])
    if resource.properties.get("FifoQueue"):
        raise TemplateError(f"{resource.logical_id}: FIFO queues are not supported locally")
    return QueueSpec(name=name, attributes=attributes)


def _rule(resource: Resource, name: str) -> RuleSpec:
    properties = resource.properties
    if properties.get("EventBusName", "default") != "default" or "EventPattern" not in properties:
        raise TemplateError(
            f"{resource.logical_id}: only event patterns on the default bus are known"
        )
    _check_pattern(resource.logical_id, properties["EventPattern"])
    queue_names = []
    for target in properties.get("Targets", []):
        if not target["Arn"].startswith("arn:aws:sqs:"):
            raise TemplateError(f"{resource.logical_id}: only queues can be targets locally")
        transforming = {"Input", "InputPath", "InputTransformer"} & target.keys()
        if transforming:
            raise TemplateError(f"{resource.logical_id}: {sorted(transforming)} is not known")
        queue_names.append(target["Arn"].rpartition(":")[2])
    enabled = properties.get("State", "ENABLED") == "ENABLED"
    return RuleSpec(
        name=name,
        pattern=json.dumps(properties["EventPattern"]),
        queue_names=tuple(queue_names) if enabled else (),
    )


def key_suffixes(pattern: str) -> list[str]:
    """The ends of object keys that an upload rule's pattern asks for, in lower case."""
    suffixes = []
    for one in json.loads(pattern)["detail"]["object"].get("key", []):
        if isinstance(one, dict) and "suffix" in one:
            wanted = one["suffix"]
            suffixes.append(wanted["equals-ignore-case"] if isinstance(wanted, dict) else wanted)
    return [suffix.lower() for suffix in suffixes]


def _check_pattern(logical_id: str, pattern: Any) -> None:
    if isinstance(pattern, dict):
        for value in pattern.values():
            _check_pattern(logical_id, value)
    elif isinstance(pattern, list):
        for one in pattern:
            if not isinstance(one, dict):
                continue
            if len(one) == 1 and next(iter(one)) in _EVENT_OPERATORS:
                continue
            raise TemplateError(f"{logical_id}: the local stack does not know the pattern {one!r}")


def _function(resource: Resource, name: str, root: Path) -> FunctionSpec:
    properties = resource.properties
    variables = properties.get("Environment", {}).get("Variables", {})
    return FunctionSpec(
        name=name,
        handler=properties["Handler"],
        root=root,
        timeout_seconds=float(properties.get("Timeout", 3)),
        memory_mb=int(properties.get("MemorySize", 128)),
        environment={key: _variable(value) for key, value in variables.items()},
        concurrency=int(properties.get("ReservedConcurrentExecutions", DEFAULT_CONCURRENCY)),
    )


def _variable(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _mapping(
    resource: Resource, event_name: str, event: Mapping[str, Any], function_name: str
) -> MappingSpec:
    if event["Type"] != "SQS":
        raise TemplateError(
            f"{resource.logical_id}.{event_name}: {event['Type']} events are not known locally"
        )
    properties = event["Properties"]
    filters = tuple(
        one["Pattern"] for one in properties.get("FilterCriteria", {}).get("Filters", [])
    )
    for pattern in filters:
        _check_pattern(f"{resource.logical_id}.{event_name}", json.loads(pattern))
    return MappingSpec(
        function_name=function_name,
        queue_name=properties["Queue"].rpartition(":")[2],
        batch_size=int(properties.get("BatchSize", 10)),
        batching_window_seconds=int(properties.get("MaximumBatchingWindowInSeconds", 0)),
        maximum_concurrency=int(properties.get("ScalingConfig", {}).get("MaximumConcurrency", 2)),
        reports_item_failures="ReportBatchItemFailures"
        in properties.get("FunctionResponseTypes", []),
        filters=filters,
    )


def _state_machine(resource: Resource, name: str, root: Path) -> StateMachineSpec:
    properties = resource.properties
    definition = (root / properties["DefinitionS3Location"]).read_text(encoding="utf-8")
    substitutions = properties.get("DefinitionSubstitutions", {})

    def replace(found: re.Match[str]) -> str:
        try:
            return str(substitutions[found.group(1)])
        except KeyError:
            raise TemplateError(
                f"{resource.logical_id}: no DefinitionSubstitutions for {found.group()}"
            ) from None

    return StateMachineSpec(
        name=name, definition=re.sub(r"\$\{([A-Za-z0-9]+)\}", replace, definition)
    )


def _table(resource: Resource, name: str) -> TableSpec:
    request = {"TableName": name}
    for key in (
        "AttributeDefinitions",
        "BillingMode",
        "GlobalSecondaryIndexes",
        "KeySchema",
        "LocalSecondaryIndexes",
    ):
        if key in resource.properties:
            request[key] = resource.properties[key]
    return TableSpec(request=request)
