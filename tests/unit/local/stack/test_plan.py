"""What the real template deploys locally, and what its reader refuses to leave out."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from local.stack.naming import name_resource
from local.stack.parameters import TemplateError
from local.stack.plan import key_suffixes, plan_of, read_plan
from local.stack.template import Template
from screener.observations import Analyzer
from screener.settings import AnalyzersSettings

REPOSITORY = Path(__file__).resolve().parents[4]


MACHINES = {"ScreeningStateMachine": "ValidateVideo", "RejudgingStateMachine": "ListVideos"}


@pytest.mark.parametrize("name", MACHINES)
def test_every_state_of_a_machine_has_its_function_with_handler_and_limits(name: str) -> None:
    plan = read_plan(REPOSITORY, {})
    machine = plan.state_machines[name]
    arns = re.findall(r"arn:aws:lambda:[^\"]+", machine.definition)
    assert arns
    deployed = {spec.name for spec in plan.functions.values()}
    assert {arn.rpartition(":")[2] for arn in arns} <= deployed
    for logical_id, spec in plan.functions.items():
        folder = re.sub(r"(?<!^)(?=[A-Z])", "_", logical_id.removesuffix("Function")).lower()
        assert spec.handler == f"functions.{folder}.handler.lambda_handler"
        assert spec.timeout_seconds > 0
        assert spec.environment["WORK_BUCKET"] == plan.buckets["WorkBucket"].name


@pytest.mark.parametrize(("name", "first"), MACHINES.items())
def test_a_definition_holds_no_placeholder_after_substitution(name: str, first: str) -> None:
    machines = read_plan(REPOSITORY, {}).state_machines
    assert machines.keys() == MACHINES.keys()
    assert "${" not in machines[name].definition
    assert json.loads(machines[name].definition)["StartAt"] == first


def test_the_intake_runs_from_bucket_over_rule_and_queue_to_the_start_function() -> None:
    plan = read_plan(REPOSITORY, {})
    (mapping,) = plan.mappings
    bucket = plan.buckets["MediaBucket"]
    rule = plan.rules["UploadRule"]
    pattern = json.loads(rule.pattern)
    assert bucket.sends_events
    assert bucket.versioned
    assert pattern["detail"]["bucket"]["name"] == [bucket.name]
    assert rule.queue_names == (mapping.queue_name,)
    assert mapping.function_name == plan.functions["StartScreeningFunction"].name
    assert mapping.reports_item_failures
    redrive = json.loads(plan.queues["IntakeQueue"].attributes["RedrivePolicy"])
    dead_letters = plan.queues["IntakeDeadLetterQueue"].name
    assert redrive["deadLetterTargetArn"].endswith(f":{dead_letters}")


def test_videos_are_known_by_their_suffixes_in_lower_case() -> None:
    pattern = read_plan(REPOSITORY, {}).rules["UploadRule"].pattern
    assert {".mp4", ".mov", ".webm"} <= set(key_suffixes(pattern))


def test_analyzers_without_packs_are_not_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    digest = "ab" * 32
    given = {
        "FacesImageUri": f"{'0' * 12}.dkr.ecr.us-east-1.amazonaws.com/x@sha256:{digest}",
        "FacesPacks": f"s3://packs/faces/{digest}/",
        "FacesInstanceType": "local",
    }
    environment = read_plan(REPOSITORY, given).functions["PlanAnalysesFunction"].environment
    monkeypatch.setenv("ANALYZERS", environment["ANALYZERS"])
    monkeypatch.setenv("WORK_BUCKET", "work")
    analyzers = AnalyzersSettings().analyzers
    assert [name for name, one in analyzers.items() if one.deployed] == [Analyzer.FACES]
    assert analyzers[Analyzer.FACES].packs_digest == digest


def _plan_of(resources: dict[str, Any]) -> None:
    template = Template({"Resources": resources}, {}, {}, name_resource)
    plan_of(template, REPOSITORY)


@pytest.mark.parametrize(
    ("kind", "properties", "complaint"),
    [
        ("AWS::Kinesis::Stream", {}, "does not know AWS::Kinesis::Stream"),
        ("AWS::SQS::Queue", {"FifoQueue": True}, "FIFO"),
        ("AWS::Events::Rule", {"ScheduleExpression": "rate(1 day)"}, "only event patterns"),
        (
            "AWS::Events::Rule",
            {"EventPattern": {"detail": {"key": [{"sounds-like": "x"}]}}},
            "sounds-like",
        ),
        (
            "AWS::Events::Rule",
            {"EventPattern": {"source": ["a"]}, "Targets": [{"Arn": "arn:aws:states:x"}]},
            "only queues",
        ),
        (
            "AWS::Events::Rule",
            {
                "EventPattern": {"source": ["a"]},
                "Targets": [{"Arn": "arn:aws:sqs:r:a:q", "InputPath": "$.detail"}],
            },
            "InputPath",
        ),
        (
            "AWS::Serverless::Function",
            {"Handler": "x", "Events": {"Api": {"Type": "HttpApi", "Properties": {}}}},
            "HttpApi events are not known",
        ),
    ],
)
def test_what_has_no_local_counterpart_is_refused(
    kind: str, properties: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(TemplateError, match=complaint):
        _plan_of({"Thing": {"Type": kind, "Properties": properties}})


def test_a_definition_with_an_unknown_placeholder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "machine.json").write_text('{"Resource": "${Nobody}"}')
    template = Template(
        {
            "Resources": {
                "M": {
                    "Type": "AWS::StepFunctions::StateMachine",
                    "Properties": {"DefinitionS3Location": "machine.json"},
                }
            }
        },
        {},
        {},
        name_resource,
    )
    with pytest.raises(TemplateError, match=r"M: no DefinitionSubstitutions for \$\{Nobody\}"):
        plan_of(template, tmp_path)
