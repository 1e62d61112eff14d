"""Redrive through boto3, on moto's interpreter behind the gateway."""

import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.core.config import default_user_config

from local.lambda_runtime.service import InvokeResult
from tests.unit.local.stack.conftest import Running

ROLE = "arn:aws:iam::123456789012:role/any"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:"
NUMBERS = itertools.count()


class Functions:
    """Fails as often as it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.failures: dict[str, int] = {}
        self.asked: list[tuple[str, Any]] = []

    def invoke(self, name: str, payload: bytes) -> InvokeResult:
        self.asked.append((name, json.loads(payload)))
        if self.failures.get(name, 0):
            self.failures[name] -= 1
            error = {"errorType": "Broken", "errorMessage": "on purpose"}
            return InvokeResult(json.dumps(error).encode(), "Unhandled")
        return InvokeResult(json.dumps({name: "done"}).encode(), None)

    def names(self) -> list[str]:
        return [name for name, _ in self.asked]


@pytest.fixture
def functions(running: Running) -> Iterator[Functions]:
    before = default_user_config.get("stepfunctions")
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    running.gateway.functions = functions = Functions()
    yield functions
    running.gateway.functions = None
    if before is None:
        del default_user_config["stepfunctions"]
    else:
        default_user_config["stepfunctions"] = before


def task(name: str, following: str | None, **fields: Any) -> dict[str, Any]:
    end = {"Next": following} if following else {"End": True}
    return {
        "Type": "Task",
        "Resource": FUNCTION + name,
        "Parameters": {"input.$": "$", "execution.$": "$$.Execution"},
        "ResultPath": f"$.{name}",
        **end,
        **fields,
    }


def start(running: Running, states: dict[str, Any], **fields: Any) -> str:
    client = running.services.stepfunctions
    number = next(NUMBERS)
    machine = client.create_state_machine(
        name=f"machine-{number}",
        definition=json.dumps({"StartAt": next(iter(states)), "States": states, **fields}),
        roleArn=ROLE,
    )["stateMachineArn"]
    execution = client.start_execution(
        stateMachineArn=machine, name=f"execution-{number}", input=json.dumps({"video": "a.mp4"})
    )
    return execution["executionArn"]


def ended(running: Running, arn: str) -> dict[str, Any]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        described = running.services.stepfunctions.describe_execution(executionArn=arn)
        if described["status"] != "RUNNING":
            return dict(described)
        time.sleep(0.02)
    pytest.fail(f"{arn} has not ended")


THREE = {
    "First": task("first", "Second"),
    "Second": task("second", "Third"),
    "Third": task("third", None),
}


def test_a_redriven_execution_goes_on_where_it_failed(
    running: Running, functions: Functions
) -> None:
    functions.failures["second"] = 1
    arn = start(running, THREE)
    failed = ended(running, arn)
    assert (failed["status"], failed["error"]) == ("FAILED", "Broken")
    assert (failed["redriveCount"], failed["redriveStatus"]) == (0, "REDRIVABLE")

    date = running.services.stepfunctions.redrive_execution(executionArn=arn)["redriveDate"]
    described = ended(running, arn)

    assert described["status"] == "SUCCEEDED"
    assert functions.names() == ["first", "second", "second", "third"]
    assert (described["redriveCount"], described["redriveDate"]) == (1, date)
    assert described["redriveStatus"] == "NOT_REDRIVABLE"
    assert "SUCCEEDED" in described["redriveStatusReason"]
    assert "error" not in described
    assert "cause" not in described
    assert (described["name"], described["input"]) == (failed["name"], failed["input"])
    assert json.loads(described["output"]) == {
        "video": "a.mp4",
        "first": {"first": "done"},
        "second": {"second": "done"},
        "third": {"third": "done"},
    }


def test_the_failed_state_gets_its_own_input_again_and_the_number_of_the_redrive(
    running: Running, functions: Functions
) -> None:
    functions.failures["second"] = 2
    arn = start(running, THREE)
    for _ in range(2):
        ended(running, arn)
        running.services.stepfunctions.redrive_execution(executionArn=arn)
    assert ended(running, arn)["redriveCount"] == 2
    seconds = [payload for name, payload in functions.asked if name == "second"]
    assert [payload["input"] for payload in seconds] == [
        {"video": "a.mp4", "first": {"first": "done"}}
    ] * 3
    counts = [payload["execution"].get("RedriveCount") for payload in seconds]
    assert counts == [None, 1, 2]
    assert all(payload["execution"]["Input"] == {"video": "a.mp4"} for payload in seconds)


def test_retries_start_fresh(running: Running, functions: Functions) -> None:
    retry = [{"ErrorEquals": ["Broken"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    functions.failures["only"] = 3
    arn = start(running, {"Only": task("only", None, Retry=retry)})
    assert ended(running, arn)["status"] == "FAILED"
    running.services.stepfunctions.redrive_execution(executionArn=arn)
    assert ended(running, arn)["status"] == "SUCCEEDED"
    assert functions.names() == ["only"] * 4


def test_the_history_goes_on_with_a_redriven_event(running: Running, functions: Functions) -> None:
    functions.failures["second"] = 1
    arn = start(running, THREE)
    ended(running, arn)
    running.services.stepfunctions.redrive_execution(executionArn=arn)
    ended(running, arn)
    events = running.services.stepfunctions.get_execution_history(executionArn=arn)["events"]
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    kinds = [event["type"] for event in events]
    redriven = kinds.index("ExecutionRedriven")
    assert kinds[redriven - 1] == "ExecutionFailed"
    assert kinds[-1] == "ExecutionSucceeded"
    assert kinds.count("ExecutionStarted") == 1
    assert events[redriven]["executionRedrivenEventDetails"] == {"redriveCount": 1}


def test_a_failure_inside_a_map_starts_the_map_again(
    running: Running, functions: Functions
) -> None:
    items = {
        "Type": "Map",
        "ItemsPath": "$.ranges",
        "MaxConcurrency": 1,
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "INLINE"},
            "StartAt": "Inner",
            "States": {"Inner": {"Type": "Task", "Resource": FUNCTION + "inner", "End": True}},
        },
        "ResultPath": "$.items",
        "End": True,
    }
    ranges = {"Type": "Pass", "Result": [1, 2], "ResultPath": "$.ranges", "Next": "Each"}
    functions.failures["inner"] = 1
    arn = start(running, {"Ranges": ranges, "Each": items})
    assert ended(running, arn)["status"] == "FAILED"
    running.services.stepfunctions.redrive_execution(executionArn=arn)
    described = ended(running, arn)
    assert json.loads(described["output"])["items"] == [{"inner": "done"}] * 2


def test_an_aborted_execution_can_be_redriven(running: Running, functions: Functions) -> None:
    wait = {"Type": "Wait", "SecondsPath": "$.first.seconds", "Next": "Third"}
    states = {"First": task("first", "Pause"), "Pause": {**wait, "SecondsPath": "$.seconds"}}
    states["Third"] = task("third", None)
    client = running.services.stepfunctions
    number = next(NUMBERS)
    machine = client.create_state_machine(
        name=f"machine-{number}",
        definition=json.dumps({"StartAt": "First", "States": states}),
        roleArn=ROLE,
    )["stateMachineArn"]
    arn = client.start_execution(
        stateMachineArn=machine, name=f"execution-{number}", input=json.dumps({"seconds": 2})
    )["executionArn"]
    deadline = time.monotonic() + 5
    while "first" not in functions.names() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    client.stop_execution(executionArn=arn)
    assert ended(running, arn)["status"] == "ABORTED"
    client.redrive_execution(executionArn=arn)
    assert ended(running, arn)["status"] == "SUCCEEDED"
    assert functions.names() == ["first", "third"]


def test_a_succeeded_execution_is_refused(running: Running, functions: Functions) -> None:
    arn = start(running, THREE)
    ended(running, arn)
    with pytest.raises(ClientError, match=r"ExecutionNotRedrivable.*SUCCEEDED"):
        running.services.stepfunctions.redrive_execution(executionArn=arn)


def test_an_unknown_execution_is_refused(running: Running) -> None:
    arn = "arn:aws:states:us-east-1:123456789012:execution:machine:none"
    with pytest.raises(ClientError) as caught:
        running.services.stepfunctions.redrive_execution(executionArn=arn)
    assert caught.value.response["Error"]["Code"] == "ExecutionDoesNotExist"


def test_a_repeated_client_token_redrives_once(running: Running, functions: Functions) -> None:
    functions.failures["second"] = 2
    arn = start(running, THREE)
    ended(running, arn)
    client = running.services.stepfunctions
    first = client.redrive_execution(executionArn=arn, clientToken="same")
    assert ended(running, arn)["status"] == "FAILED"
    second = client.redrive_execution(executionArn=arn, clientToken="same")
    assert first["redriveDate"] == second["redriveDate"]
    assert ended(running, arn)["redriveCount"] == 1


def test_the_list_of_executions_tells_of_redrives(running: Running, functions: Functions) -> None:
    functions.failures["first"] = 1
    arn = start(running, THREE)
    machine = ended(running, arn)["stateMachineArn"]
    client = running.services.stepfunctions
    assert client.list_executions(stateMachineArn=machine)["executions"][0]["redriveCount"] == 0
    client.redrive_execution(executionArn=arn)
    ended(running, arn)
    item = client.list_executions(stateMachineArn=machine)["executions"][0]
    assert (item["redriveCount"], item["status"]) == (1, "SUCCEEDED")
