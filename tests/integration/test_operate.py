"""The operator's commands against the local stack: smoke test, replay."""

import json

import pytest

from local.operate.smoke import SmokeFailed, Target, smoke
from screener.document import Document
from tests.local_stack import REPOSITORY, Command, Stack
from tests.tiny_clips import tiny_clip

SAMPLE = REPOSITORY / "assets" / "sample.mp4"


def smoke_test(stack: Stack, upload_prefix: str, patience_seconds: float) -> Document:
    description = stack.description
    return smoke(
        stack.services.s3,
        stack.services.stepfunctions,
        Target(description.media_bucket, upload_prefix, description.state_machine_arn),
        SAMPLE,
        patience_seconds=patience_seconds,
        poll_seconds=0.2,
        say=lambda _: None,
    )


def smoke_keys(stack: Stack) -> list[str]:
    listed = stack.services.s3.list_objects_v2(Bucket=stack.description.media_bucket)
    return [one["Key"] for one in listed.get("Contents", []) if "smoke-test" in one["Key"]]


def test_the_smoke_test_passes_on_a_working_stack_and_leaves_nothing(stack: Stack) -> None:
    document = smoke_test(stack, stack.description.upload_prefix, patience_seconds=100)
    assert document.transcription is not None
    assert smoke_keys(stack) == []


def test_the_smoke_test_tells_an_intake_that_does_not_work(stack: Stack) -> None:
    with pytest.raises(SmokeFailed, match="started no execution"):
        smoke_test(stack, "not-watched/", patience_seconds=2)
    assert smoke_keys(stack) == []


def test_a_failed_execution_is_replayed_once_its_cause_is_gone(
    stack: Stack, command: Command
) -> None:
    sfn = stack.services.stepfunctions
    bucket, key = stack.description.media_bucket, "elsewhere/late.mp4"
    started = sfn.start_execution(
        stateMachineArn=stack.description.state_machine_arn,
        name="late-" + "0" * 32,
        input=json.dumps({"bucket": bucket, "key": key}),
    )
    failed = stack.wait(started["executionArn"].rpartition(":")[2])
    assert (failed.status, failed.error) == ("FAILED", "VideoUnavailable")

    stack.services.s3.put_object(Bucket=bucket, Key=key, Body=tiny_clip(seed=77))
    replayed = command("replay", "--failed", "--since", "1h", "--yes")
    assert replayed.returncode == 0, replayed.stderr
    assert f"redrive: {started['executionArn']}" in replayed.stdout
    assert stack.wait(failed.name).status == "SUCCEEDED"
    assert "nothing to replay" in command("replay", "--failed", "--since", "1h").stdout
