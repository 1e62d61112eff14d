"""The transformed template against the code that it deploys."""

import ast
import copy
import importlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from samtranslator.translator.transform import transform

from bench.simulation import assumptions
from functions.start_screening.waiting import return_seconds
from local.operate.parameters import parameters_page
from local.operate.templates import read_template
from local.stack.plan import read_plan
from screener.settings import Settings

ROOT = Path(__file__).parents[2]
NESTED = ["endpoints/async_endpoint.yaml", "network/private_network.yaml", "operations/alarms.yaml"]
TEMPLATES = ["template.yaml", *NESTED, "operations/artifacts.yaml"]
READ_BY_LIBRARIES = {
    "POWERTOOLS_SERVICE_NAME",
    "POWERTOOLS_METRICS_NAMESPACE",
    "POWERTOOLS_LOG_LEVEL",
}
IN_EVERY_FUNCTION = READ_BY_LIBRARIES | {"WORK_BUCKET"}
DATA = ("AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::KMS::Key")


@pytest.fixture(scope="module")
def template() -> Mapping[str, Any]:
    return read_template(ROOT / "template.yaml")


@pytest.fixture(scope="module")
def transformed(template: Mapping[str, Any]) -> dict[str, Any]:
    """As CloudFormation sees it: the serverless resources replaced by what they stand for."""
    uploaded = copy.deepcopy(dict(template))
    for resource in uploaded["Resources"].values():
        for field in ("CodeUri", "ContentUri"):
            if field in resource["Properties"]:
                resource["Properties"][field] = {"Bucket": "artifacts", "Key": "code"}
    # The translator wants the region from the environment, to write partitions into ARNs.
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        return transform(uploaded, {}, _NoManagedPolicies())


class _NoManagedPolicies:
    """Every role here is written out; a lookup of AWS's managed policies is a mistake."""

    def load(self) -> dict[str, str]:
        return {}


def of_type(template: Mapping[str, Any], *kinds: str) -> dict[str, dict[str, Any]]:
    return {
        name: resource
        for name, resource in template["Resources"].items()
        if resource["Type"] in kinds
    }


def state_of(function: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", function.removesuffix("Function")).lower()


FUNCTIONS = sorted(
    name
    for name, resource in read_template(ROOT / "template.yaml")["Resources"].items()
    if resource["Type"] == "AWS::Serverless::Function"
)


# ---------------------------------------------------------------- functions


def settings_of(function: str) -> type[Settings]:
    """The settings class that a handler loads: the most derived one in its module."""
    module = importlib.import_module(f"functions.{state_of(function)}.handler")
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Settings)
    ]
    return max(found, key=lambda cls: len(cls.__mro__)) if found else Settings


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_gets_the_settings_it_reads_and_no_others(
    transformed: dict[str, Any], function: str
) -> None:
    given = set(transformed["Resources"][function]["Properties"]["Environment"]["Variables"])
    read = {name.upper() for name in settings_of(function).model_fields}
    assert read <= given, "settings that the template does not give"
    assert given - IN_EVERY_FUNCTION <= read, "variables that nothing reads"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_template_alone_says_what_a_setting_is_worth(function: str) -> None:
    fields = settings_of(function).model_fields.items()
    assert [name for name, field in fields if not field.is_required()] == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_functions_settings_load_from_the_templates_defaults(
    monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    for name, value in read_plan(ROOT, {}).functions[function].environment.items():
        monkeypatch.setenv(name, value)
    settings_of(function)()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_state_folder_handler_and_resource_have_one_name(
    template: Mapping[str, Any], function: str
) -> None:
    properties = template["Resources"][function]["Properties"]
    state = state_of(function)
    assert properties["CodeUri"] == f"functions/{state}"
    assert properties["Handler"] == f"functions.{state}.handler.lambda_handler"
    assert properties["Role"] == {"Fn::GetAtt": [f"{function.removesuffix('Function')}Role", "Arn"]}
    assert callable(importlib.import_module(f"functions.{state}.handler").lambda_handler)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_runs_traced_on_arm_and_logs_into_the_stacks_group(
    transformed: dict[str, Any], function: str
) -> None:
    properties = transformed["Resources"][function]["Properties"]
    assert properties["Architectures"] == ["arm64"]
    assert properties["TracingConfig"] == {"Mode": "Active"}
    assert properties["LoggingConfig"] == {"LogGroup": {"Ref": "FunctionsLogGroup"}}
    assert properties["Layers"], "the shared layer is missing"


def test_the_transform_adds_no_role_of_its_own(
    template: Mapping[str, Any], transformed: dict[str, Any]
) -> None:
    assert (
        of_type(transformed, "AWS::IAM::Role").keys() == of_type(template, "AWS::IAM::Role").keys()
    )


def test_a_message_stays_invisible_for_six_times_the_functions_limit(
    template: Mapping[str, Any],
) -> None:
    resources = template["Resources"]
    limit = resources["StartScreeningFunction"]["Properties"]["Timeout"]
    assert resources["IntakeQueue"]["Properties"]["VisibilityTimeout"] >= 6 * limit


def test_a_video_may_wait_a_day_for_a_place_before_its_message_is_given_up(
    template: Mapping[str, Any],
) -> None:
    queue = template["Resources"]["IntakeQueue"]["Properties"]
    waited = 0
    for _ in range(queue["RedrivePolicy"]["maxReceiveCount"]):
        waited += return_seconds(waited)
    assert waited >= 24 * 3_600


def test_intake_reports_failed_items_and_keeps_what_cannot_be_started(
    transformed: dict[str, Any],
) -> None:
    (mapping,) = of_type(transformed, "AWS::Lambda::EventSourceMapping").values()
    assert mapping["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["Properties"]["ScalingConfig"] == {"MaximumConcurrency": 2}
    queue = transformed["Resources"]["IntakeQueue"]["Properties"]
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {
        "Fn::GetAtt": ["IntakeDeadLetterQueue", "Arn"]
    }


def test_every_upload_suffix_is_matched_in_any_case(template: Mapping[str, Any]) -> None:
    pattern = template["Resources"]["UploadRule"]["Properties"]["EventPattern"]
    suffixes = [one["suffix"]["equals-ignore-case"] for one in pattern["detail"]["object"]["key"]]
    assert suffixes == sorted(set(suffixes))
    assert all(re.fullmatch(r"\.[a-z0-9]+", suffix) for suffix in suffixes)
    assert {".mp4", ".mov", ".mkv", ".webm"} <= set(suffixes)


# ---------------------------------------------------------------- permissions


def statements(resource: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Of a role or an identity policy; both branches of each condition."""
    properties = resource["Properties"]
    documents = [
        properties.get("PolicyDocument"),
        *(policy["PolicyDocument"] for policy in properties.get("Policies", ())),
    ]
    for document in filter(None, documents):
        for statement in document["Statement"]:
            branches = statement["Fn::If"][1:] if "Fn::If" in statement else [statement]
            yield from (branch for branch in branches if "Effect" in branch)


def identity_policies() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, name, resource)
        for path in TEMPLATES
        for name, resource in of_type(
            read_template(ROOT / path),
            "AWS::IAM::Role",
            "AWS::IAM::Policy",
            "AWS::IAM::ManagedPolicy",
        ).items()
    ]


POLICIES = identity_policies()


@pytest.mark.parametrize(
    ("path", "name", "resource"), POLICIES, ids=[f"{path}:{name}" for path, name, _ in POLICIES]
)
def test_every_wildcard_resource_has_its_reason(
    path: str, name: str, resource: dict[str, Any]
) -> None:
    reasons = resource.get("Metadata", {}).get("Wildcards", {})
    wild = {one["Sid"] for one in statements(resource) if one["Resource"] == "*"}
    assert wild == set(reasons), "reasons and wildcards differ"
    assert all(len(reason.split()) >= 5 for reason in reasons.values())


@pytest.mark.parametrize(
    ("path", "name", "resource"), POLICIES, ids=[f"{path}:{name}" for path, name, _ in POLICIES]
)
def test_no_policy_allows_a_class_of_actions(
    path: str, name: str, resource: dict[str, Any]
) -> None:
    for statement in statements(resource):
        actions = statement["Action"]
        for action in [actions] if isinstance(actions, str) else actions:
            assert "*" not in action, f"{name}: {action}"


def test_every_role_can_be_assumed_by_one_service_only() -> None:
    for path, name, resource in POLICIES:
        trust = resource["Properties"].get("AssumeRolePolicyDocument")
        if trust:
            (statement,) = trust["Statement"]
            assert isinstance(statement["Principal"]["Service"], str), f"{path}: {name}"


@pytest.mark.parametrize("machine", ["ScreeningStateMachine", "RejudgingStateMachine"])
def test_a_state_machine_may_invoke_exactly_its_functions(
    template: Mapping[str, Any], machine: str
) -> None:
    properties = template["Resources"][machine]["Properties"]
    (invoke,) = (
        one
        for one in statements(template["Resources"][f"{machine}Role"])
        if one["Action"] == "lambda:InvokeFunction"
    )
    given = properties["DefinitionSubstitutions"].values()
    assert sorted(map(str, invoke["Resource"])) == sorted(
        str(one) for one in given if "Fn::GetAtt" in one
    )


def test_a_distributed_map_may_start_its_own_machine_and_write_where_it_says(
    template: Mapping[str, Any],
) -> None:
    machine = template["Resources"]["RejudgingStateMachine"]["Properties"]
    granted = {
        one["Sid"]: one for one in statements(template["Resources"]["RejudgingStateMachineRole"])
    }
    name = machine["StateMachineName"]["Fn::Sub"]
    assert granted["StartBatches"]["Resource"]["Fn::Sub"].endswith(f":stateMachine:{name}")
    for one in granted["FollowBatches"]["Resource"]:
        assert f":execution:{name}" in one["Fn::Sub"]
    definition = json.loads((ROOT / machine["DefinitionS3Location"]).read_text("utf-8"))
    archive = definition["States"]["RejudgeArchive"]
    assert "'rejudge/{}/map-run'" in archive["ResultWriter"]["Parameters"]["Prefix.$"]
    written = granted["ResultsOfBatches"]["Resource"]["Fn::Sub"]
    assert written == "${WorkBucket.Arn}/rejudge/*/map-run/*"


# ---------------------------------------------------------------- data


@pytest.mark.parametrize("path", TEMPLATES)
def test_what_holds_data_says_what_happens_to_it(path: str) -> None:
    stateful = (*DATA, "AWS::SQS::Queue", "AWS::Logs::LogGroup", "AWS::CloudFormation::Stack")
    for name, resource in of_type(read_template(ROOT / path), *stateful).items():
        expected = "Retain" if resource["Type"] in DATA else "Delete"
        assert resource.get("DeletionPolicy") == expected, name
        assert resource.get("UpdateReplacePolicy") == expected, name


def test_buckets_are_private_encrypted_versioned_and_refuse_plain_http(
    template: Mapping[str, Any],
) -> None:
    policies = of_type(template, "AWS::S3::BucketPolicy").values()
    for name, bucket in of_type(template, "AWS::S3::Bucket").items():
        properties = bucket["Properties"]
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
        assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
        (rule,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
        (policy,) = (
            one["Properties"]["PolicyDocument"]
            for one in policies
            if one["Properties"]["Bucket"] == {"Ref": name}
        )
        assert any(
            one["Effect"] == "Deny"
            and one["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
            for one in policy["Statement"]
        )


@pytest.mark.parametrize("prefix", ["media/", "async/failure/", "observations/", "rejudge/"])
def test_everything_in_the_work_bucket_but_its_configuration_expires(
    template: Mapping[str, Any], prefix: str
) -> None:
    rules = template["Resources"]["WorkBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    (rule,) = (one for one in rules if one.get("Prefix") == prefix)
    assert rule["ExpirationInDays"]["Ref"].endswith("RetentionDays")
    # A deleted object must not live on as an older version: these are biometrics.
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}


def test_raw_answers_of_the_endpoints_are_gone_after_a_day_and_not_kept_as_versions(
    template: Mapping[str, Any],
) -> None:
    rules = template["Resources"]["WorkBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    (rule,) = (one for one in rules if one.get("Prefix") == "async/output/")
    assert rule["ExpirationInDays"] == 1
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}


def test_the_key_that_uploaders_need_is_told(template: Mapping[str, Any]) -> None:
    (rule,) = template["Resources"]["MediaBucket"]["Properties"]["BucketEncryption"][
        "ServerSideEncryptionConfiguration"
    ]
    key = rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"]
    assert template["Outputs"]["DataKeyArn"]["Value"] == key


# ---------------------------------------------------------------- endpoints and alarms


def test_an_endpoint_can_sleep_at_zero_and_wake() -> None:
    endpoint = read_template(ROOT / "endpoints/async_endpoint.yaml")["Resources"]
    assert endpoint["ScalableTarget"]["Properties"]["MinCapacity"] == 0
    assert endpoint["WakeAlarm"]["Properties"]["MetricName"] == "HasBacklogWithoutCapacity"
    assert endpoint["WakeAlarm"]["Properties"]["AlarmActions"] == [{"Ref": "WakePolicy"}]
    assert endpoint["ShrinkAlarm"]["Properties"]["AlarmActions"] == [{"Ref": "ShrinkPolicy"}]
    grow = endpoint["GrowPolicy"]["Properties"]["TargetTrackingScalingPolicyConfiguration"]
    assert grow["DisableScaleIn"] is True


def test_sagemaker_may_publish_the_metrics_of_instances_that_alarms_look_at() -> None:
    endpoint = read_template(ROOT / "endpoints/async_endpoint.yaml")["Resources"]
    (granted,) = (
        one for one in statements(endpoint["Role"]) if one["Action"] == "cloudwatch:PutMetricData"
    )
    (namespaces,) = granted["Condition"].values()
    looked_at = {
        metric["MetricStat"]["Metric"]["Namespace"]
        for name in ("ShrinkAlarm", "MoneyBurningAlarm")
        for metric in endpoint[name]["Properties"]["Metrics"]
        if metric.get("MetricStat")
    }
    # What the service counts itself (AWS/SageMaker) needs nobody's permission.
    of_instances = looked_at - {"AWS/SageMaker"}
    assert of_instances
    for namespace in of_instances:
        assert fnmatch(namespace, namespaces["cloudwatch:namespace"])


def test_model_servers_have_no_network() -> None:
    endpoint = read_template(ROOT / "endpoints/async_endpoint.yaml")["Resources"]
    assert endpoint["Model"]["Properties"]["EnableNetworkIsolation"] is True
    source = endpoint["Model"]["Properties"]["PrimaryContainer"]["ModelDataSource"]["S3DataSource"]
    assert source["CompressionType"] == "None"


def alarms() -> list[tuple[str, dict[str, Any]]]:
    return [
        (name, resource["Properties"])
        for path in NESTED
        for name, resource in of_type(read_template(ROOT / path), "AWS::CloudWatch::Alarm").items()
    ]


def alarms_for_people() -> list[tuple[str, dict[str, Any]]]:
    return [(name, alarm) for name, alarm in alarms() if "AlarmName" in alarm]


def headings(page: str) -> set[str]:
    return {
        re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in (ROOT / page).read_text("utf-8").splitlines()
        if line.startswith("#")
    }


@pytest.mark.parametrize(("name", "alarm"), alarms_for_people())
def test_an_alarm_tells_somebody_and_leads_to_its_page_of_the_runbook(
    name: str, alarm: dict[str, Any]
) -> None:
    assert alarm["AlarmActions"] == [{"Ref": "AlarmTopicArn"}]
    assert alarm["OKActions"] == [{"Ref": "AlarmTopicArn"}]
    found = re.search(r"(docs/[a-z]+\.md)#([a-z-]+)", alarm["AlarmDescription"])
    assert found
    assert found.group(2) in headings(found.group(1))
    assert alarm["AlarmName"]["Fn::Sub"].endswith(f"}}-{found.group(2)}")


def test_the_other_alarms_are_part_of_scaling() -> None:
    quiet = [name for name, alarm in alarms() if "AlarmName" not in alarm]
    assert sorted(quiet) == ["ShrinkAlarm", "WakeAlarm"]


def metrics_that_the_code_counts() -> set[str]:
    """Names given to `add_metric`, also those in the tables that it is given them from."""
    tree = ast.parse((ROOT / "core/screener/measuring.py").read_text("utf-8"))
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"(Videos|Documents)[A-Z][A-Za-z]+", node.value)
    }


def test_alarms_and_dashboard_use_metrics_that_the_code_counts() -> None:
    text = (ROOT / "operations/alarms.yaml").read_text("utf-8")
    used = set(re.findall(r"\b(?:Videos|Documents)[A-Z][A-Za-z]+", text))
    assert used
    assert used <= metrics_that_the_code_counts() | {"VideosTable"}


def test_the_dashboard_is_json_with_one_widget_per_place() -> None:
    resources = read_template(ROOT / "operations/alarms.yaml")["Resources"]
    body = resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    widgets = json.loads(re.sub(r"\$\{[^}]+\}", "x", body))["widgets"]
    places = [(one["x"], one["y"]) for one in widgets]
    assert len(set(places)) == len(places)
    shown = re.findall(r"\$\{([A-Za-z]+Alarm)\.Arn\}", body)
    assert sorted(shown) == sorted(of_type({"Resources": resources}, "AWS::CloudWatch::Alarm"))


# ---------------------------------------------------------------- parameters


@pytest.mark.parametrize("path", NESTED)
def test_nested_stacks_get_the_parameters_they_declare(
    template: Mapping[str, Any], path: str
) -> None:
    declared = read_template(ROOT / path)["Parameters"]
    needed = {name for name, one in declared.items() if "Default" not in one}
    users = [
        resource["Properties"]
        for resource in of_type(template, "AWS::CloudFormation::Stack").values()
        if resource["Properties"]["TemplateURL"] == path
    ]
    assert users, f"nothing nests {path}"
    for user in users:
        assert needed <= user["Parameters"].keys() <= declared.keys()


def test_every_parameter_is_used(template: Mapping[str, Any]) -> None:
    used = json.dumps(
        {"R": template["Resources"], "C": template["Conditions"], "G": template["Globals"]}
    )
    for name in template["Parameters"]:
        assert f'"{name}"' in used or f"${{{name}}}" in used, name


def test_every_parameter_is_documented(template: Mapping[str, Any]) -> None:
    page = (ROOT / "docs/parameters.md").read_text("utf-8")
    assert page == parameters_page(template), "run python -m local.operate.parameters"


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_environments_set_parameters_that_exist_to_values_that_are_allowed(
    environment: str,
) -> None:
    config = tomllib.loads((ROOT / "samconfig.toml").read_text("utf-8"))
    overrides = config[environment]["deploy"]["parameters"]["parameter_overrides"]
    values = dict(one.split("=", 1) for one in overrides)
    # The local stack's reader, which checks each value, knows no networks.
    local = values | {"PrivateNetwork": "no"}
    assert local.keys() <= read_plan(ROOT, local).parameters.keys()


def test_every_skipped_policy_check_has_its_reason() -> None:
    text = (ROOT / ".checkov.yaml").read_text("utf-8")
    skipped = yaml.safe_load(text)["skip-check"]
    explained = re.findall(r"(?:^  # .+\n)+^  - (CKV2?_[A-Z]+_[0-9]+)$", text, re.MULTILINE)
    assert skipped == explained
    assert yaml.safe_load(text)["file"] == TEMPLATES


def test_no_template_is_forgotten() -> None:
    folders = ("endpoints", "network", "operations")
    found = [path for folder in folders for path in (ROOT / folder).glob("*.yaml")]
    assert sorted(path.relative_to(ROOT).as_posix() for path in found) == TEMPLATES[1:]


def test_a_second_instance_type_takes_the_place_of_the_first_in_a_pool() -> None:
    endpoint = read_template(ROOT / "endpoints/async_endpoint.yaml")["Resources"]
    (variant,) = endpoint["EndpointConfig"]["Properties"]["ProductionVariants"]
    # SageMaker takes one or the other.
    assert variant["InstanceType"]["Fn::If"][:2] == ["HasFallback", {"Ref": "AWS::NoValue"}]
    condition, pools, otherwise = variant["InstancePools"]["Fn::If"]
    assert (condition, otherwise) == ("HasFallback", {"Ref": "AWS::NoValue"})
    assert [one["Priority"] for one in pools] == [1, 2]


def test_services_may_use_the_key_for_this_stacks_queues_topics_and_logs_only(
    template: Mapping[str, Any],
) -> None:
    policy = template["Resources"]["DataKey"]["Properties"]["KeyPolicy"]
    for statement in policy["Statement"]:
        if "Service" in statement["Principal"]:
            (context,) = statement["Condition"].values()
            (name,) = context
            assert name.startswith("kms:EncryptionContext:"), statement["Sid"]


def test_endpoints_scale_with_the_numbers_that_the_simulation_justifies(
    template: Mapping[str, Any],
) -> None:
    numbers = assumptions.load(assumptions.SHIPPED).scaling
    endpoint = read_template(ROOT / "endpoints/async_endpoint.yaml")["Resources"]
    grow = endpoint["GrowPolicy"]["Properties"]["TargetTrackingScalingPolicyConfiguration"]
    assert grow["TargetValue"] == numbers.target_backlog_per_instance
    assert grow["ScaleOutCooldown"] == numbers.scale_out_cooldown_seconds
    assert grow["DisableScaleIn"] is not numbers.tracking_scales_in
    wake = endpoint["WakePolicy"]["Properties"]["StepScalingPolicyConfiguration"]
    assert wake["StepAdjustments"][0]["ScalingAdjustment"] == numbers.wake_instances
    assert endpoint["WakeAlarm"]["Properties"]["EvaluationPeriods"] == numbers.wake_periods
    shrink = endpoint["ShrinkPolicy"]["Properties"]["StepScalingPolicyConfiguration"]
    assert shrink["Cooldown"] == numbers.scale_in_cooldown_seconds
    assert shrink["StepAdjustments"][0]["ScalingAdjustment"] == -100 * numbers.shrink_share
    assert endpoint["ShrinkAlarm"]["Properties"]["Threshold"] == numbers.shrink_below
    assert template["Parameters"]["ScaleInAfterMinutes"]["Default"] == numbers.shrink_periods
    assert endpoint["ScalableTarget"]["Properties"]["MinCapacity"] == numbers.min_instances
