"""What the functions' roles allow against what the functions were seen to do, both ways."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import pytest
from moto.iam.access_control import IAMPolicy, PermissionResult

from local.account import ACCOUNT_ID
from local.operate.templates import read_template
from local.stack.description import StackDescription
from local.stack.environment import stack_environment
from local.stack.naming import PSEUDO_PARAMETERS, REGION, name_resource
from local.stack.plan import read_plan
from local.stack.template import Template
from screener import paces
from tests.local_stack import PATIENCE_SECONDS, REPOSITORY, Command, Stack
from tests.tiny_clips import tiny_clip

# Allowed, but not to be seen in a run of the local stack.
UNSEEN: dict[tuple[str, str], str] = {}
for _function, _action, _reason in [
    ("StartScreening", "sqs:ReceiveMessage", "Lambda polls the queue with the function's role"),
    ("StartScreening", "sqs:DeleteMessage", "Lambda polls the queue with the function's role"),
    ("StartScreening", "sqs:GetQueueAttributes", "Lambda polls the queue with the function's role"),
    ("ValidateVideo", "s3:GetObject", "media buckets without versioning"),
    ("ExtractMedia", "s3:AbortMultipartUpload", "an upload of more than one part that fails"),
    ("ExtractMedia", "s3:GetObject", "what an earlier run of the version extracted"),
    ("RejectVideo", "s3:GetObject", "another video's document in the place of this one's"),
    ("RejudgeVideos", "dynamodb:GetItem", "of the policy it shares; it has seen the document"),
    ("AggregateResults", "s3:DeleteObject", "an observation in the store that cannot be used"),
    ("AggregateResults", "dynamodb:DeleteItem", "a known person is no longer found"),
    ("RejectVideo", "dynamodb:DeleteItem", "a known person is no longer found"),
    ("RejudgeVideos", "dynamodb:DeleteItem", "a known person is no longer found"),
]:
    UNSEEN[_function, _action] = _reason

# Access key that moto's interpreter of the state machine signs with.
STATE_MACHINE_KEY = "ak"
STATE_MACHINES = ("ScreeningStateMachine", "RejudgingStateMachine")

# Without it S3 answers 403 instead of 404 for what is not there; no request has its name.
MEANT_FOR_404 = "s3:ListBucket"
# Of every function: logs, traces, key. Nothing of it is a call of the function's own.
SHARED_POLICY = "FunctionPolicy"


class Call(NamedTuple):
    """One request as IAM sees it."""

    function: str
    """Name of the state: `ExtractMedia`."""
    action: str
    resource: str


@pytest.fixture(scope="module")
def calls(command: Command, tmp_path_factory: pytest.TempPathFactory) -> set[Call]:
    """Every call of a run over a good, a silent and a refused video, and over two at once where
    only one has a place."""
    folder = tmp_path_factory.mktemp("recording")
    (folder / "logs").mkdir()
    (folder / "tmp").mkdir()
    noted = folder / "calls.jsonl"
    with (folder / "stderr.log").open("wb") as errors:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.integration.recording_stack", str(noted)),
                *("--root", str(REPOSITORY), "--home", str(command.home)),
                *("--folder", str(folder), "--end-with-stdin"),
                *("--parameters", json.dumps({"MaxRunningExecutions": "1"})),
            ],
            cwd=REPOSITORY,
            env=stack_environment(os.environ, folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line, (folder / "stderr.log").read_text()
            stack = Stack(StackDescription.model_validate_json(line))
            sample = (REPOSITORY / "assets" / "sample.mp4").read_bytes()
            for key, content in [
                ("sample.mp4", sample),
                ("sample.mov", tiny_clip(seed=5)),
                ("empty.mp4", b""),
            ]:
                assert stack.wait(stack.upload(key, content)).status == "SUCCEEDED"
            _judge_again(stack)
            # The second waits: it comes back long before the queue's timeout of three minutes.
            both = [stack.upload(f"{seed}.mp4", tiny_clip(seed=seed)) for seed in (6, 7)]
            assert [stack.wait(name).status for name in both] == ["SUCCEEDED", "SUCCEEDED"]
        finally:
            process.stdin.close()
            process.stdout.close()
            process.wait(30)
    return {
        call
        for text in noted.read_text("utf-8").splitlines()
        for call in _as_iam_sees_it(json.loads(text))
    }


def _judge_again(stack: Stack) -> None:
    machine = stack.description.state_machine_arn.replace("-screening", "-rejudging")
    client = stack.services.stepfunctions
    arn = client.start_execution(stateMachineArn=machine, name="again", input='{"dry_run": false}')[
        "executionArn"
    ]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (told := client.describe_execution(executionArn=arn))["status"] == "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert told["status"] == "SUCCEEDED", told
    summary = json.loads(told["output"])
    assert (summary["judged"], summary["missing"]) == (2, 0), summary


def _as_iam_sees_it(request: Mapping[str, Any]) -> Iterator[Call]:
    if request["caller"] == STATE_MACHINE_KEY:
        # The endpoints' ARNs come from nested stacks; test_template checks that policy.
        if request["service"] == "lambda":
            function_arn = request["path"].split("/")[3]
            yield Call(_machine_of(function_arn), "lambda:InvokeFunction", function_arn)
        elif request["service"] == "s3":
            # Only the Map over an archive reads and writes S3 by itself.
            yield Call("RejudgingStateMachine", *_s3_call(request))
        return
    function = _states_by_function_name()[request["caller"]]
    if request["service"] == "s3":
        yield Call(function, *_s3_call(request))
        return
    operation = request["target"].rpartition(".")[2]
    body = request["body"]
    match request["service"]:
        case "dynamodb":
            # What the conditions of these permissions name; moto does not evaluate them.
            if operation == "UpdateItem":
                assert body["Key"]["video"]["S"] == paces.ITEM_KEY
            if operation == "GetItem":
                key = body["Key"]["video"]["S"]
                assert key == paces.ITEM_KEY or key.startswith("screener-local-media-bucket/")
            table = f"arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{body['TableName']}"
            yield Call(function, f"dynamodb:{operation}", table)
        case "states":
            yield Call(function, f"states:{operation}", body["stateMachineArn"])
        case "sqs":
            queue = body["QueueUrl"].rpartition("/")[2]
            arn = f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{queue}"
            # A batch needs no permission of its own.
            yield Call(function, f"sqs:{operation.removesuffix('Batch')}", arn)
        case "events":
            for entry in body["Entries"]:
                bus = f"arn:aws:events:{REGION}:{ACCOUNT_ID}:event-bus/{entry['EventBusName']}"
                yield Call(function, f"events:{operation}", bus)
        case other:
            raise AssertionError(f"{function} calls {other}, which no role foresees")


def _s3_call(request: Mapping[str, Any]) -> tuple[str, str]:
    bucket, _, key = request["path"].lstrip("/").partition("/")
    query = parse_qs(request["query"], keep_blank_values=True)
    if not key:
        assert request["method"] in ("GET", "HEAD"), request
        return "s3:ListBucket", f"arn:aws:s3:::{bucket}"
    match request["method"]:
        case "GET" | "HEAD":
            action = "s3:GetObjectVersion" if "versionId" in query else "s3:GetObject"
        case "DELETE" if "uploadId" in query:
            action = "s3:AbortMultipartUpload"
        case "DELETE":
            action = "s3:DeleteObject"
        case _:
            action = "s3:PutObject"
    return action, f"arn:aws:s3:::{bucket}/{key}"


@cache
def _machine_of(function_arn: str) -> str:
    machines = read_plan(REPOSITORY, {}).state_machines
    (found,) = (name for name, spec in machines.items() if function_arn in spec.definition)
    return found


@cache
def _states_by_function_name() -> dict[str, str]:
    functions = read_plan(REPOSITORY, {}).functions
    return {spec.name: name.removesuffix("Function") for name, spec in functions.items()}


@cache
def _policies() -> dict[str, list[dict[str, Any]]]:
    """State (or the state machine) -> the policy documents of its role, but the shared one."""
    resolved = {
        resource.logical_id: resource.properties
        for resource in Template.read(
            REPOSITORY / "template.yaml", {}, PSEUDO_PARAMETERS, name_resource
        ).resources(lambda kind: kind.startswith("AWS::IAM::"))
    }
    written = read_template(REPOSITORY / "template.yaml")["Resources"]
    documents = {
        machine: [one["PolicyDocument"] for one in resolved[f"{machine}Role"]["Policies"]]
        for machine in STATE_MACHINES
    }
    for state in _states_by_function_name().values():
        role = f"{state}Role"
        managed = [one["Ref"] for one in written[role]["Properties"]["ManagedPolicyArns"]]
        assert SHARED_POLICY in managed
        documents[state] = [
            *(one["PolicyDocument"] for one in resolved[role].get("Policies", [])),
            *(resolved[one]["PolicyDocument"] for one in managed if one != SHARED_POLICY),
        ]
    return documents


def _allows(state: str, action: str, resource: str) -> bool:
    return any(
        IAMPolicy({"policy_document": json.dumps(document)}).is_action_permitted(action, resource)
        is PermissionResult.PERMITTED
        for document in _policies()[state]
    )


def test_every_call_is_allowed_to_its_caller(calls: set[Call]) -> None:
    refused = sorted(call for call in calls if not _allows(*call))
    assert refused == []


def test_every_permission_is_used_or_explained(calls: set[Call]) -> None:
    used = {(call.function, call.action) for call in calls}
    unused = set()
    for state, documents in _policies().items():
        for document in documents if state not in STATE_MACHINES else []:
            for statement in document["Statement"]:
                actions = statement["Action"]
                for action in [actions] if isinstance(actions, str) else actions:
                    if (state, action) not in used and action != MEANT_FOR_404:
                        unused.add((state, action))
    assert unused - UNSEEN.keys() == set(), "permissions that nobody uses"


def test_explanations_are_only_of_what_was_not_seen(calls: set[Call]) -> None:
    used = {(call.function, call.action) for call in calls}
    assert UNSEEN.keys() & used == set()


@pytest.mark.parametrize(
    ("machine", "functions"),
    [
        # All but StartScreening, which the queue calls, and AwaitRedrive.
        ("ScreeningStateMachine", 6),
        ("RejudgingStateMachine", 3),
    ],
)
def test_a_state_machine_was_seen_to_call_its_functions(
    calls: set[Call], machine: str, functions: int
) -> None:
    seen = [call for call in calls if call.function == machine]
    assert sum(call.action == "lambda:InvokeFunction" for call in seen) == functions


def test_the_map_over_an_archive_was_seen_to_read_its_list_and_to_write_its_results(
    calls: set[Call],
) -> None:
    seen = {call.action for call in calls if call.function == "RejudgingStateMachine"}
    assert {"s3:GetObject", "s3:PutObject"} <= seen


@pytest.mark.parametrize(
    ("function", "action", "keys"),
    [
        ("PlanAnalyses", "dynamodb:GetItem", [paces.ITEM_KEY, "screener-local-media-bucket/*"]),
        ("AggregateResults", "dynamodb:UpdateItem", [paces.ITEM_KEY]),
    ],
)
def test_only_the_items_that_a_function_is_about_may_be_touched(
    function: str, action: str, keys: list[str]
) -> None:
    (statement,) = (
        statement
        for document in _policies()[function]
        for statement in document["Statement"]
        if action in statement["Action"]
    )
    (condition,) = statement["Condition"].values()
    assert condition == {"dynamodb:LeadingKeys": keys}


def test_a_function_is_refused_what_another_may_do() -> None:
    row = f"arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/screener-local-videos-table"
    assert _allows("AggregateResults", "dynamodb:PutItem", row)
    assert not _allows("CollectResult", "dynamodb:PutItem", row)
    video = "arn:aws:s3:::screener-local-media-bucket/uploads/a.mp4"
    assert not _allows("AggregateResults", "s3:PutObject", video)
    assert _allows("AggregateResults", "s3:PutObject", video[:-3] + "moderation.json")
