"""Checks a state machine for what would only be found in a running execution.

    python -m local.asl_check statemachine/screening.asl.json template.yaml

Looked at and not enough: cfn-lint (E3601) checks inline definitions only, not a file behind
DefinitionS3Location, and none of the rules below beyond the JSON schema; statelint is a Ruby
gem; asl-validator (npm) checks schema, paths and transitions, but knows neither this
project's template nor its rules (jitter, time limits, failures kept to their item). No local
interpreter checks any of it before the state is reached.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from local.operate.templates import read_template
from screener import errors

STATE_NAME_LIMIT = 80  # Step Functions: "state names must be unique and at most 80 characters"
STARTED_BY_THE_QUEUE = frozenset({"start_screening"})
NOT_CAUGHT = "not caught: "
CAUGHT_BY_THE_MAP = "Caught by the Map."
TOLERATED_BY_THE_MAP = "Tolerated by the Map."
ENDS_BY_ITSELF = frozenset({"Choice", "Succeed", "Fail"})

# The local interpreter breaks on these (JSONata, variables) or answers wrongly (S3).
_FIELDS_OF_JSONATA = ("Assign", "Arguments", "Output", "Condition", "Items")
_SUBSTITUTION = re.compile(r"\$\{([A-Za-z0-9]+)\}")
_FUNCTION_ARN = "FunctionArn"
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_RESERVED_ERRORS = ("States.", "Lambda.", "Sandbox.")

State = Mapping[str, Any]


class Finding(NamedTuple):
    """One refusal: which state (or the definition as a whole) and why."""

    state: str
    problem: str

    def __str__(self) -> str:
        return f"{self.state}: {self.problem}"


@dataclass(frozen=True)
class Deployment:
    """What the template and the source tree say about the state machine."""

    substitutions: Mapping[str, str]
    """Substitution -> logical id of the function whose ARN it is ("" when it is not one)."""
    others_folders: frozenset[str]
    """Folders of the functions that the template's other state machines run."""
    function_timeouts_seconds: Mapping[str, int]
    """Logical id of each function -> its Timeout."""
    function_folders: frozenset[str]
    """Folders below functions/ that hold a handler."""


@dataclass(frozen=True)
class Scope:
    """The states of the machine itself or of one Map's item."""

    start_at: str
    states: Mapping[str, State]
    enclosing_map: State | None


def read_deployment(template_path: Path, definition_path: Path) -> Deployment:
    """Read the template; folders are looked for in `functions/` beside it.

    Raises:
        ValueError: not exactly one of the template's state machines has a definition of this name.
    """
    resources = read_template(template_path)["Resources"]
    mine: list[Mapping[str, Any]] = []
    others: list[Mapping[str, Any]] = []
    for resource in resources.values():
        if resource["Type"] == "AWS::StepFunctions::StateMachine":
            properties = resource["Properties"]
            same = Path(properties["DefinitionS3Location"]).name == definition_path.name
            (mine if same else others).append(properties.get("DefinitionSubstitutions", {}))
    if len(mine) != 1:
        raise ValueError(
            f"{template_path}: {len(mine)} state machines of {definition_path.name} instead of one"
        )
    return Deployment(
        substitutions={name: _function_of(value) for name, value in mine[0].items()},
        others_folders=frozenset(
            folder_of(_function_of(value).removesuffix("Function"))
            for substitutions in others
            for value in substitutions.values()
            if _function_of(value)
        ),
        function_timeouts_seconds={
            name: resource["Properties"]["Timeout"]
            for name, resource in resources.items()
            if resource["Type"] == "AWS::Serverless::Function"
        },
        function_folders=frozenset(
            path.parent.name for path in (template_path.parent / "functions").glob("*/handler.py")
        ),
    )


def _function_of(value: Any) -> str:
    target = value.get("Fn::GetAtt") if isinstance(value, Mapping) else None
    return target[0] if target and target[1] == "Arn" else ""


def folder_of(state_name: str) -> str:
    """`ExtractMedia` -> `extract_media`."""
    return _WORD_START.sub("_", state_name).lower()


def check(definition: Mapping[str, Any], deployment: Deployment) -> list[Finding]:
    """Every reason to refuse the definition; empty when it is sound."""
    return list(_findings(definition, deployment))


def _findings(definition: Mapping[str, Any], deployment: Deployment) -> Iterator[Finding]:
    if "TimeoutSeconds" not in definition:
        yield Finding("(definition)", "no TimeoutSeconds: an execution could hang for a year")
    names: list[str] = []
    for scope in _scopes(definition):
        yield from _check_transitions(scope)
        for name, state in scope.states.items():
            names.append(name)
            yield from _check_name(name, names)
            yield from _check_language(name, state)
            if state.get("Type") == "Choice" and "Default" not in state:
                yield Finding(name, "Choice without Default: an unforeseen value fails it")
            if state.get("Type") in ("Task", "Map", "Parallel"):
                yield from _check_error_names(name, state)
            if state.get("Type") == "Task":
                yield from _check_task(name, state, scope, deployment)
    yield from _check_substitutions(definition, names, deployment)


def _scopes(machine: Mapping[str, Any], enclosing_map: State | None = None) -> Iterator[Scope]:
    states: Mapping[str, State] = machine.get("States", {})
    yield Scope(machine.get("StartAt", ""), states, enclosing_map)
    for state in states.values():
        if state.get("Type") == "Map":
            yield from _scopes(state.get("ItemProcessor", {}), state)
        for branch in state.get("Branches", ()):
            yield from _scopes(branch, enclosing_map)


def _check_name(name: str, names: list[str]) -> Iterator[Finding]:
    if len(name) > STATE_NAME_LIMIT:
        yield Finding(name, f"{len(name)} characters; a state name has at most {STATE_NAME_LIMIT}")
    if names.count(name) > 1:
        yield Finding(name, "name used twice; names are unique in the whole definition")


def _targets(state: State) -> Iterator[str]:
    for field in ("Next", "Default"):
        if field in state:
            yield state[field]
    for branch in (*state.get("Choices", ()), *state.get("Catch", ())):
        yield branch.get("Next", "")


def _check_transitions(scope: Scope) -> Iterator[Finding]:
    if scope.start_at not in scope.states:
        yield Finding(scope.start_at or "(definition)", "StartAt names a state that is not there")
    for name, state in scope.states.items():
        for target in _targets(state):
            if target not in scope.states:
                yield Finding(name, f"leads to {target!r}, which is not there")
        leaves = ("Next" in state) + bool(state.get("End"))
        if state.get("Type") not in ENDS_BY_ITSELF and leaves != 1:
            yield Finding(name, "needs either Next or End")
    reached: set[str] = set()
    ahead = [scope.start_at]
    while ahead:
        name = ahead.pop()
        if name in scope.states and name not in reached:
            reached.add(name)
            ahead.extend(_targets(scope.states[name]))
    for name in scope.states.keys() - reached:
        yield Finding(name, "unreachable: nothing leads here")


def _check_language(name: str, state: State) -> Iterator[Finding]:
    if state.get("QueryLanguage", "JSONPath") != "JSONPath":
        yield Finding(name, "JSONata: the local interpreter does not run it")
    for field in _FIELDS_OF_JSONATA:
        if field in state:
            yield Finding(name, f"{field}: the local interpreter does not run JSONata or variables")
    if "aws-sdk:s3:" in str(state.get("Resource", "")):
        yield Finding(name, "aws-sdk:s3 task: only S3 pointers travel, functions read S3")


def _check_error_names(name: str, state: State) -> Iterator[Finding]:
    for field in ("Retry", "Catch"):
        rules = state.get(field, ())
        for position, rule in enumerate(rules):
            caught = rule.get("ErrorEquals", [])
            for error in caught:
                known = error.startswith(_RESERVED_ERRORS) or hasattr(errors, error)
                if not known:
                    yield Finding(
                        name, f"{field} of {error!r}, which screener.errors does not have"
                    )
            if "States.ALL" in caught and (len(caught) > 1 or position != len(rules) - 1):
                yield Finding(name, f"{field} of States.ALL must stand alone and last")


def _check_task(name: str, state: State, scope: Scope, deployment: Deployment) -> Iterator[Finding]:
    limit_seconds = state.get("TimeoutSeconds")
    if limit_seconds is None and "TimeoutSecondsPath" not in state:
        yield Finding(name, "Task without TimeoutSeconds: it could hang for a year")
    yield from _check_retry(name, state)
    yield from _check_catch(name, state, scope.enclosing_map)

    resource = state.get("Resource", "")
    if resource.startswith("arn:aws:states:::aws-sdk:"):
        return
    if resource != f"${{{name}FunctionArn}}":
        yield Finding(name, f"runs {resource!r} instead of ${{{name}FunctionArn}}")
    if folder_of(name) not in deployment.function_folders:
        yield Finding(name, f"no function has its name: functions/{folder_of(name)} is not there")
    function_seconds = deployment.function_timeouts_seconds.get(f"{name}Function", 0)
    if limit_seconds is not None and limit_seconds <= function_seconds:
        yield Finding(
            name,
            f"TimeoutSeconds {limit_seconds} ends the Task before the function's own limit of"
            f" {function_seconds} s, whose error would say more",
        )


def _check_retry(name: str, state: State) -> Iterator[Finding]:
    retriers = state.get("Retry", ())
    if not any("States.ALL" in retrier.get("ErrorEquals", ()) for retrier in retriers):
        yield Finding(name, "Task without a Retry of States.ALL")
    for retrier in retriers:
        if retrier.get("MaxAttempts") == 0:
            continue
        if retrier.get("JitterStrategy") != "FULL":
            yield Finding(name, "Retry without JitterStrategy FULL: retries come in waves")
        if "MaxDelaySeconds" not in retrier:
            yield Finding(name, "Retry without MaxDelaySeconds: the backoff has no bound")


def _check_catch(name: str, state: State, enclosing_map: State | None) -> Iterator[Finding]:
    if any("States.ALL" in catcher.get("ErrorEquals", ()) for catcher in state.get("Catch", ())):
        return
    comment = state.get("Comment", "")
    if enclosing_map is None:
        _, said, reason = comment.lower().partition(NOT_CAUGHT)
        if not said or len(reason.split()) < 3:
            yield Finding(
                name, f"neither a Catch of States.ALL nor {NOT_CAUGHT!r} and why in its Comment"
            )
    elif not (
        (CAUGHT_BY_THE_MAP in comment and enclosing_map.get("Catch"))
        or (TOLERATED_BY_THE_MAP in comment and "ToleratedFailurePercentage" in enclosing_map)
    ):
        yield Finding(
            name,
            "Task of a Map item without a Catch of States.ALL: its failure would stop its siblings."
            f" If that is meant, say {CAUGHT_BY_THE_MAP!r} in its Comment and give the Map a Catch,"
            f" or {TOLERATED_BY_THE_MAP!r} and a ToleratedFailurePercentage",
        )


def _check_substitutions(
    definition: Mapping[str, Any], names: list[str], deployment: Deployment
) -> Iterator[Finding]:
    used = set(_SUBSTITUTION.findall(json.dumps(definition)))
    for name in sorted(used - deployment.substitutions.keys()):
        yield Finding("(definition)", f"${{{name}}} is not among the DefinitionSubstitutions")
    for name in sorted(deployment.substitutions.keys() - used):
        yield Finding("(template)", f"substitution {name} is not used by the definition")
    for name, function in sorted(deployment.substitutions.items()):
        if not (function or name.endswith(_FUNCTION_ARN)):
            continue  # a bucket's name
        if f"{function}Arn" != name:
            yield Finding("(template)", f"substitution {name} is not the ARN of {name[:-3]}")
        elif function not in deployment.function_timeouts_seconds:
            yield Finding("(template)", f"substitution {name}: the template has no {function}")
    expected = (
        {folder_of(name) for name in names} | STARTED_BY_THE_QUEUE | deployment.others_folders
    )
    for folder in sorted(deployment.function_folders - expected):
        yield Finding("(functions)", f"functions/{folder}: no state has its name")


def main(definition_path: str, template_path: str) -> int:
    """Print what is wrong; the exit status is 1 when anything is."""
    definition = json.loads(Path(definition_path).read_text("utf-8"))
    deployment = read_deployment(Path(template_path), Path(definition_path))
    findings = check(definition, deployment)
    for finding in findings:
        sys.stdout.write(f"{definition_path}: {finding}\n")
    return 1 if findings else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m local.asl_check DEFINITION TEMPLATE")
    sys.exit(main(*sys.argv[1:]))
