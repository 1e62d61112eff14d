"""Each refusal of the checker, on a mutated copy of the real definition."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local.asl_check import Deployment, Finding, check, main, read_deployment

ROOT = Path(__file__).parents[3]
DEFINITION = ROOT / "statemachine" / "screening.asl.json"
TEMPLATE = ROOT / "template.yaml"


@pytest.fixture(scope="module")
def deployment() -> Deployment:
    return read_deployment(TEMPLATE, DEFINITION)


def real() -> dict[str, Any]:
    return json.loads(DEFINITION.read_text("utf-8"))


def item_states(definition: dict[str, Any], name: str) -> dict[str, Any]:
    return definition["States"][name]["ItemProcessor"]["States"]


def rename(states: dict[str, Any], old: str, new: str) -> None:
    states[new] = states.pop(old)


def test_the_real_definition_is_sound(deployment: Deployment) -> None:
    assert check(real(), deployment) == []


@pytest.mark.parametrize(
    "definition", sorted((ROOT / "statemachine").glob("*.asl.json")), ids=lambda path: path.name
)
def test_the_command_is_silent_about_the_real_definitions(
    definition: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(str(definition), str(TEMPLATE)) == 0
    assert capsys.readouterr().out == ""


def test_the_command_prints_each_finding_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    definition = real()
    del definition["States"]["IsComplete"]["Default"]
    broken = tmp_path / DEFINITION.name
    broken.write_text(json.dumps(definition), "utf-8")
    assert main(str(broken), str(TEMPLATE)) == 1
    assert "IsComplete: Choice without Default" in capsys.readouterr().out


def _dangling_next(d: dict[str, Any]) -> None:
    d["States"]["RejectVideo"]["Next"] = "Screend"


def _dangling_default(d: dict[str, Any]) -> None:
    d["States"]["IsComplete"]["Default"] = "Nowhere"


def _dangling_choice(d: dict[str, Any]) -> None:
    d["States"]["IsComplete"]["Choices"][0]["Next"] = "Nowhere"


def _dangling_catch(d: dict[str, Any]) -> None:
    d["States"]["ValidateVideo"]["Catch"][0]["Next"] = "Nowhere"


def _catch_into_another_scope(d: dict[str, Any]) -> None:
    item_states(d, "AnalyzeMedia")["CollectResult"]["Catch"][0]["Next"] = "RejectVideo"


def _dangling_start(d: dict[str, Any]) -> None:
    d["StartAt"] = "Nowhere"


def _unreachable(d: dict[str, Any]) -> None:
    d["States"]["Forgotten"] = {"Type": "Succeed"}


def _unreachable_in_a_map(d: dict[str, Any]) -> None:
    item_states(d, "AnalyzeMedia")["Forgotten"] = {"Type": "Pass", "End": True}


def _no_way_on(d: dict[str, Any]) -> None:
    del d["States"]["RejectVideo"]["Next"]


def _two_ways_on(d: dict[str, Any]) -> None:
    d["States"]["RejectVideo"]["End"] = True


def _no_default(d: dict[str, Any]) -> None:
    del d["States"]["IsComplete"]["Default"]


def _no_retry(d: dict[str, Any]) -> None:
    del d["States"]["PlanAnalyses"]["Retry"]


def _retry_of_some_errors_only(d: dict[str, Any]) -> None:
    d["States"]["PlanAnalyses"]["Retry"].pop()


def _no_jitter(d: dict[str, Any]) -> None:
    del d["States"]["PlanAnalyses"]["Retry"][-1]["JitterStrategy"]


def _no_longest_delay(d: dict[str, Any]) -> None:
    del d["States"]["PlanAnalyses"]["Retry"][-1]["MaxDelaySeconds"]


def _retry_of_everything_first(d: dict[str, Any]) -> None:
    d["States"]["PlanAnalyses"]["Retry"].reverse()


def _retry_of_an_unknown_error(d: dict[str, Any]) -> None:
    d["States"]["ValidateVideo"]["Retry"][0]["ErrorEquals"] = ["InvalidVido"]


def _no_time_limit(d: dict[str, Any]) -> None:
    del d["States"]["AggregateResults"]["TimeoutSeconds"]


def _time_limit_below_the_functions(d: dict[str, Any]) -> None:
    d["States"]["AggregateResults"]["TimeoutSeconds"] = 5


def _no_time_limit_of_the_execution(d: dict[str, Any]) -> None:
    del d["TimeoutSeconds"]


def _no_catch_and_no_reason(d: dict[str, Any]) -> None:
    d["States"]["AggregateResults"]["Comment"] = "Writes the document."


def _no_catch_in_a_map(d: dict[str, Any]) -> None:
    del item_states(d, "AnalyzeMedia")["StartAnalysis"]["Catch"]


def _no_catch_in_a_map_that_catches_nothing(d: dict[str, Any]) -> None:
    del d["States"]["ExtractRanges"]["Catch"]


def _jsonata(d: dict[str, Any]) -> None:
    d["States"]["Screened"]["QueryLanguage"] = "JSONata"


def _variables(d: dict[str, Any]) -> None:
    d["States"]["AggregateResults"]["Assign"] = {"document.$": "$.result.document"}


def _sdk_task_on_s3(d: dict[str, Any]) -> None:
    state = item_states(d, "AnalyzeMedia")["StartAnalysis"]
    state["Resource"] = "arn:aws:states:::aws-sdk:s3:getObject"


def _unknown_substitution(d: dict[str, Any]) -> None:
    d["Comment"] = "on ${Stage}"


def _unused_substitution(d: dict[str, Any]) -> None:
    d["States"]["AwaitRedrive"]["Resource"] = "arn:aws:states:::aws-sdk:sfn:listExecutions"


def _another_functions_arn(d: dict[str, Any]) -> None:
    d["States"]["AwaitRedrive"]["Resource"] = "${PlanAnalysesFunctionArn}"


def _long_name(d: dict[str, Any]) -> None:
    rename(d["States"], "Screened", "S" * 81)


def _name_used_twice(d: dict[str, Any]) -> None:
    states = item_states(d, "AnalyzeMedia")
    states["IsAnalysisDone"]["Default"] = "Screened"
    rename(states, "AnalysisEnded", "Screened")


MUTATIONS: list[tuple[Callable[[dict[str, Any]], None], str, str]] = [
    (_dangling_next, "RejectVideo", "leads to 'Screend'"),
    (_dangling_default, "IsComplete", "leads to 'Nowhere'"),
    (_dangling_choice, "IsComplete", "leads to 'Nowhere'"),
    (_dangling_catch, "ValidateVideo", "leads to 'Nowhere'"),
    (_catch_into_another_scope, "CollectResult", "leads to 'RejectVideo'"),
    (_dangling_start, "Nowhere", "StartAt"),
    (_unreachable, "Forgotten", "unreachable"),
    (_unreachable_in_a_map, "Forgotten", "unreachable"),
    (_no_way_on, "RejectVideo", "either Next or End"),
    (_two_ways_on, "RejectVideo", "either Next or End"),
    (_no_default, "IsComplete", "without Default"),
    (_no_retry, "PlanAnalyses", "without a Retry"),
    (_retry_of_some_errors_only, "PlanAnalyses", "without a Retry of States.ALL"),
    (_no_jitter, "PlanAnalyses", "JitterStrategy"),
    (_no_longest_delay, "PlanAnalyses", "MaxDelaySeconds"),
    (_retry_of_everything_first, "PlanAnalyses", "alone and last"),
    (_retry_of_an_unknown_error, "ValidateVideo", "'InvalidVido'"),
    (_no_time_limit, "AggregateResults", "without TimeoutSeconds"),
    (_time_limit_below_the_functions, "AggregateResults", "before the function's own limit"),
    (_no_time_limit_of_the_execution, "(definition)", "no TimeoutSeconds"),
    (_no_catch_and_no_reason, "AggregateResults", "neither a Catch"),
    (_no_catch_in_a_map, "StartAnalysis", "would stop its siblings"),
    (_no_catch_in_a_map_that_catches_nothing, "ExtractMedia", "would stop its siblings"),
    (_jsonata, "Screened", "JSONata"),
    (_variables, "AggregateResults", "Assign"),
    (_sdk_task_on_s3, "StartAnalysis", "aws-sdk:s3"),
    (_unknown_substitution, "(definition)", "${Stage}"),
    (_unused_substitution, "(template)", "AwaitRedriveFunctionArn is not used"),
    (_another_functions_arn, "AwaitRedrive", "instead of ${AwaitRedriveFunctionArn}"),
    (_long_name, "S" * 81, "81 characters"),
    (_name_used_twice, "Screened", "name used twice"),
]


@pytest.mark.parametrize(
    ("mutate", "state", "problem"), MUTATIONS, ids=[m[0].__name__.strip("_") for m in MUTATIONS]
)
def test_a_broken_definition_is_refused(
    deployment: Deployment,
    mutate: Callable[[dict[str, Any]], None],
    state: str,
    problem: str,
) -> None:
    definition = copy.deepcopy(real())
    mutate(definition)
    findings = check(definition, deployment)
    assert any(found.state == state and problem in found.problem for found in findings), findings


def test_a_failure_that_the_map_is_said_to_tolerate_needs_a_map_that_does() -> None:
    path = ROOT / "statemachine" / "rejudging.asl.json"
    definition = json.loads(path.read_text("utf-8"))
    del definition["States"]["RejudgeArchive"]["ToleratedFailurePercentage"]
    (finding,) = check(definition, read_deployment(TEMPLATE, path))
    assert finding.state == "RejudgeVideos"
    assert "would stop its siblings" in finding.problem


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda d: replace(d, function_folders=d.function_folders - {"plan_analyses"}),
            Finding(
                "PlanAnalyses", "no function has its name: functions/plan_analyses is not there"
            ),
        ),
        (
            lambda d: replace(d, function_folders=d.function_folders | {"left_over"}),
            Finding("(functions)", "functions/left_over: no state has its name"),
        ),
        (
            lambda d: replace(
                d, substitutions={**d.substitutions, "PlanAnalysesFunctionArn": "OtherFunction"}
            ),
            Finding(
                "(template)",
                "substitution PlanAnalysesFunctionArn is not the ARN of PlanAnalysesFunction",
            ),
        ),
        (
            lambda d: replace(
                d,
                function_timeouts_seconds={
                    name: seconds
                    for name, seconds in d.function_timeouts_seconds.items()
                    if name != "PlanAnalysesFunction"
                },
            ),
            Finding(
                "(template)",
                "substitution PlanAnalysesFunctionArn: the template has no PlanAnalysesFunction",
            ),
        ),
    ],
    ids=["no folder", "folder without state", "wrong function", "function not in the template"],
)
def test_a_deployment_that_does_not_fit_is_refused(
    deployment: Deployment, change: Callable[[Deployment], Deployment], expected: Finding
) -> None:
    assert expected in check(real(), change(deployment))


def test_a_template_without_a_state_machine_is_refused(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text("Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n", "utf-8")
    with pytest.raises(ValueError, match=r"0 state machines of screening\.asl\.json"):
        read_deployment(template, DEFINITION)
