"""An archive judged again on the real interpreter: the list, the Map over it, the summary."""

import json
import time
from typing import Any

import pytest

from screener.document import Decision
from screener.policy.loading import Preset, preset_bytes
from screener.storage import S3Location
from tests.faults.faulty_stack import AwsFault
from tests.faults.scripted_stack import ScriptedStack, eventually
from tests.tiny_clips import tiny_clip

FOLDER = "archive/"
KEYS = [f"{FOLDER}{name}.mp4" for name in ("one", "two", "drei-ä")]
POLICY = "config/policies/tight.yaml"


@pytest.fixture(scope="module")
def archive(one_scripted_stack: ScriptedStack) -> ScriptedStack:
    """Three videos that the stack's own policy does not reject, and a policy that does."""
    for seed, key in enumerate(KEYS):
        screened = one_scripted_stack.screen(key, tiny_clip(seed=600 + seed))
        assert screened.status == "SUCCEEDED", (screened.error, screened.cause)
    # The scripted classifier says 0.01 of every frame.
    tight = preset_bytes(Preset.STRICT).replace(
        b"opennsfw2_threshold: 0.2", b"opennsfw2_threshold: 0.005"
    )
    one_scripted_stack.s3.put_object(
        Bucket=one_scripted_stack.description.work_bucket, Key=POLICY, Body=tight
    )
    return one_scripted_stack


def run(stack: ScriptedStack, **request: Any) -> tuple[str, dict[str, Any]]:
    """Name and description of an execution over the three videos, once it has ended."""
    machine = stack.description.state_machine_arn.replace("-screening", "-rejudging")
    name = f"rejudge-{time.monotonic_ns()}"
    prefix = stack.description.upload_prefix + FOLDER
    arn = stack.stepfunctions.start_execution(
        stateMachineArn=machine, name=name, input=json.dumps({"prefix": prefix} | request)
    )["executionArn"]
    for _ in eventually("the execution ends", seconds=60):
        described = stack.stepfunctions.describe_execution(executionArn=arn)
        if described["status"] != "RUNNING":
            break
    return name, dict(described)


def summary_of(described: dict[str, Any]) -> dict[str, Any]:
    assert described["status"] == "SUCCEEDED", (described.get("error"), described.get("cause"))
    summary: dict[str, Any] = json.loads(described["output"])
    return summary


def decisions(stack: ScriptedStack) -> list[Decision]:
    return [stack.document_of(key).verdict.decision for key in KEYS]


def test_a_dry_run_says_what_would_change_and_changes_nothing(archive: ScriptedStack) -> None:
    before = decisions(archive)
    assert Decision.REJECT not in before
    name, described = run(archive, policy_key=POLICY)
    summary = summary_of(described)
    assert summary["dry_run"] is True
    assert (summary["listed"], summary["judged"], summary["changed"]) == (3, 3, 3)
    assert (summary["left"], summary["missing"]) == (0, 0)
    assert summary["verdicts"] == {"approve": 0, "review": 0, "reject": 3}
    assert sum(row["reject"] for row in summary["confusion"].values()) == 3
    assert decisions(archive) == before
    changes = S3Location.parse(summary["changes"])
    lines = (
        archive.s3.get_object(Bucket=changes.bucket, Key=changes.key)["Body"].read().splitlines()
    )
    assert {json.loads(line)["new"] for line in lines} == {"reject"}
    stored = archive.work_keys(f"rejudge/{name}/")
    # moto writes the Map Run's manifest, and no result files, which the summary does not need.
    assert any(key.endswith("/manifest.json") for key in stored if "/map-run/" in key)
    body = archive.s3.get_object(
        Bucket=archive.description.work_bucket, Key=f"rejudge/{name}/summary.json"
    )["Body"]
    assert json.loads(body.read()) == summary


def test_an_archive_without_such_videos_has_an_empty_summary(archive: ScriptedStack) -> None:
    _, described = run(archive, prefix="nowhere/")
    summary = summary_of(described)
    assert (summary["listed"], summary["judged"], summary["missing"]) == (0, 0, 0)


def test_a_policy_that_is_not_there_fails_before_anything_is_judged(archive: ScriptedStack) -> None:
    name, described = run(archive, policy_key="config/policies/none.yaml", dry_run=False)
    assert (described["status"], described["error"]) == ("FAILED", "InvalidPolicy")
    assert archive.work_keys(f"rejudge/{name}/") == []


def test_a_batch_that_keeps_failing_is_never_counted_as_judged(archive: ScriptedStack) -> None:
    before = decisions(archive)
    # Of the one batch; its retries come with it.
    archive.fail_aws(
        AwsFault(method="GET", path=r"/observations/", status=403, code="AccessDenied")
    )
    _, described = run(archive, policy_key=POLICY, dry_run=False)
    archive.heal()
    # moto evaluates no tolerance: AWS would fail the execution at more than 5 % of the batches.
    summary = summary_of(described)
    assert (summary["listed"], summary["judged"], summary["missing"]) == (3, 0, 3)
    assert decisions(archive) == before


def test_documents_rows_and_summary_follow_the_new_policy(archive: ScriptedStack) -> None:
    _, described = run(archive, policy_key=POLICY, dry_run=False)
    summary = summary_of(described)
    assert (summary["dry_run"], summary["judged"], summary["changed"]) == (False, 3, 3)
    assert decisions(archive) == [Decision.REJECT] * 3
    _, described = run(archive, policy_key=POLICY)
    again = summary_of(described)
    assert again["changed"] == 0
    assert again["confusion"]["reject"]["reject"] == 3
