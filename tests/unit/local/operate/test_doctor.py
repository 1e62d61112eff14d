"""Each check on an account where the point is in order, and on one where it is not."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from local.operate.doctor import CHECKS, examine, wanted_instances
from local.operate.environments import Environment, read_environment
from local.operate.findings import Finding, Verdict
from local.operate.published_checks import packs_problem
from local.operate.stacks import Clients
from local.operate.templates import ROOT
from screener import identity
from screener.observations import Analyzer
from screener.packs import Pack, PackFile

ACCOUNT = "123456789012"
DIGEST = "sha256:" + "a" * 64


def check(topic: str, environment: Environment, clients: Clients) -> list[Finding]:
    return list(CHECKS[topic](environment, clients))


def with_parameters(environment: Environment, **parameters: str) -> Environment:
    return environment.model_copy(update={"parameters": environment.parameters | parameters})


def stubbed(service: str, *answers: tuple[str, dict[str, Any]]) -> Clients:
    """A client with recorded answers; botocore checks them against the service's model."""
    client = boto3.client(
        service,  # type: ignore[call-overload]
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    stubber = Stubber(client)
    for operation, answer in answers:
        stubber.add_response(operation, answer)
    stubber.activate()
    return lambda _: client


def quotas(**values: float) -> Clients:
    listed = [
        {"QuotaName": f"{name} for endpoint usage", "QuotaCode": f"L-{name}", "Value": value}
        for name, value in values.items()
    ]
    return stubbed("service-quotas", ("list_service_quotas", {"Quotas": listed}))


def test_who_asks_is_said_first(environment: Environment, aws: Clients) -> None:
    (finding,) = check("credentials", environment, aws)
    assert finding.verdict is Verdict.OK
    assert ACCOUNT in finding.found


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("screener-dev", Verdict.OK),
        ("Screener-dev", Verdict.PROBLEM),
        ("s" * 49, Verdict.OK),
        ("s" * 50, Verdict.PROBLEM),
    ],
)
def test_a_stack_name_leaves_room_for_endpoint_names(
    environment: Environment, aws: Clients, name: str, verdict: Verdict
) -> None:
    (finding,) = check("names", environment.model_copy(update={"stack_name": name}), aws)
    assert finding.verdict is verdict


def test_the_gpu_quota_is_summed_over_the_endpoints(environment: Environment) -> None:
    eight = {"ml.g4dn.xlarge": 8.0}
    (finding,) = check("quotas", environment, quotas(**eight))
    assert finding.verdict is Verdict.OK
    (finding,) = check("quotas", environment, quotas(**{"ml.g4dn.xlarge": 7.0}))
    assert finding.verdict is Verdict.PROBLEM
    assert "7 allowed, 8 wanted by ModerationMaxInstances=2 + FacesMaxInstances=2" in finding.found


def test_a_quota_that_is_too_small_is_answered_with_the_request_to_type_and_a_way_without(
    environment: Environment,
) -> None:
    (finding,) = check("quotas", environment, quotas(**{"ml.g4dn.xlarge": 0.0}))
    request, _, rest = finding.remedy.partition("; or deploy with fewer: ")
    command = request.partition(": aws ")[2].split()
    asked = dict(zip(command[2::2], command[3::2], strict=True))
    assert command[:2] == ["service-quotas", "request-service-quota-increase"]
    assert asked == {
        "--service-code": "sagemaker",
        "--quota-code": "L-ml.g4dn.xlarge",
        "--desired-value": "8",
        "--region": "us-east-1",
    }
    page, _, anchor = rest.partition("#")
    headings = [
        line.strip("# ").lower().replace(" ", "-")
        for line in (ROOT / page).read_text("utf-8").splitlines()
        if line.startswith("#")
    ]
    assert anchor in headings


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_the_manual_names_the_quota_that_an_environment_of_this_checkout_needs(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "samconfig.toml").write_bytes((ROOT / "samconfig.toml").read_bytes())
    wanted = wanted_instances(read_environment(name, tmp_path))
    needed = ", ".join(
        f"{sum(most.values())} of `{instance_type} for endpoint usage`"
        for instance_type, most in wanted.items()
    )
    assert f"| `{name}` | {needed} |" in (ROOT / "docs" / "operate.md").read_text("utf-8")


def test_only_endpoints_that_are_deployed_count(environment: Environment) -> None:
    one = with_parameters(
        environment,
        FacesImageUri=f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/faces@{DIGEST}",
        FacesPacks="s3://packs/x/",
        FacesInstanceType="ml.g5.xlarge",
    )
    (finding,) = check("quotas", one, quotas(**{"ml.g5.xlarge": 2.0}))
    assert (finding.verdict, finding.found) == (
        Verdict.OK,
        "ml.g5.xlarge for endpoint usage: 2 of 2",
    )


def test_the_type_to_fall_back_on_needs_its_quota_too(environment: Environment) -> None:
    environment = with_parameters(environment, FacesFallbackInstanceType="ml.g5.xlarge")
    found = check("quotas", environment, quotas(**{"ml.g4dn.xlarge": 8.0, "ml.g5.xlarge": 1.0}))
    assert [one.verdict for one in found] == [Verdict.OK, Verdict.PROBLEM]
    assert "ml.g5.xlarge for endpoint usage: 1 allowed, 2 wanted" in found[1].found


def test_a_type_that_the_region_does_not_have_is_a_problem(environment: Environment) -> None:
    (finding,) = check("quotas", environment, quotas())
    assert finding.verdict is Verdict.PROBLEM
    assert "no quota" in finding.found


@pytest.mark.parametrize(
    ("total", "reserved", "verdict"),
    [
        (1000, 0, Verdict.OK),
        (1000, 900, Verdict.OK),
        (1000, 901, Verdict.PROBLEM),
        (10, 0, Verdict.WARNING),
    ],
)
def test_lambdas_concurrency_covers_what_is_reserved(
    environment: Environment, total: int, reserved: int, verdict: Verdict
) -> None:
    answer = {
        "AccountLimit": {"ConcurrentExecutions": total, "UnreservedConcurrentExecutions": total}
    }
    environment = with_parameters(environment, ExtractMediaConcurrency=str(reserved))
    (finding,) = check(
        "concurrency", environment, stubbed("lambda", ("get_account_settings", answer))
    )
    assert finding.verdict is verdict


def endpoint(**variant: Any) -> Clients:
    """SageMaker with the faces endpoint in service."""
    arn, then = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint", datetime(2026, 1, 1, tzinfo=UTC)
    times = {"CreationTime": then}
    described = {
        "EndpointName": "screener-test-faces",
        "EndpointArn": f"{arn}/faces",
        "EndpointConfigName": "faces-1",
        "EndpointStatus": "InService",
        "LastModifiedTime": then,
    }
    config = {
        "EndpointConfigName": "faces-1",
        "EndpointConfigArn": f"{arn}-config/faces-1",
        "ProductionVariants": [{"VariantName": "main", "ModelName": "faces"} | variant],
    }
    return stubbed(
        "sagemaker",
        ("describe_endpoint", described | times),
        ("describe_endpoint_config", config | times),
    )


@pytest.mark.parametrize(
    ("wanted", "verdict"),
    [("ml.g4dn.xlarge", Verdict.OK), ("ml.g5.xlarge", Verdict.PROBLEM)],
)
def test_the_type_of_an_endpoint_that_scales_cannot_be_changed_by_a_deploy(
    environment: Environment, wanted: str, verdict: Verdict
) -> None:
    changed = with_parameters(
        environment,
        FacesImageUri=f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/faces@{DIGEST}",
        FacesPacks=f"s3://packs/{'a' * 64}/",
        FacesInstanceType=wanted,
    )
    (finding,) = check("instance types", changed, endpoint(InstanceType="ml.g4dn.xlarge"))
    assert finding.verdict is verdict
    assert bool(finding.remedy) is (verdict is Verdict.PROBLEM)


def test_an_endpoint_that_is_not_there_yet_may_have_any_type(environment: Environment) -> None:
    first = with_parameters(
        environment,
        FacesImageUri=f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/faces@{DIGEST}",
        FacesPacks=f"s3://packs/{'a' * 64}/",
    )
    client = boto3.client(
        "sagemaker",
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    with Stubber(client) as stubber:
        stubber.add_client_error(
            "describe_endpoint", "ValidationException", 'Could not find endpoint "arn:..."'
        )
        (finding,) = check("instance types", first, lambda _: client)
    assert finding.verdict is Verdict.OK


def existing_bucket(*, events: bool, versions: bool) -> Clients:
    """S3's answers about a bucket; moto leaves EventBridge out of its own."""
    return stubbed(
        "s3",
        ("get_bucket_location", {}),
        (
            "get_bucket_notification_configuration",
            {"EventBridgeConfiguration": {}} if events else {},
        ),
        ("get_bucket_versioning", {"Status": "Enabled"} if versions else {}),
    )


def test_a_bucket_of_the_stacks_own_needs_no_check(environment: Environment, aws: Clients) -> None:
    assert [one.verdict for one in check("media bucket", environment, aws)] == [Verdict.OK]


def test_an_existing_bucket_in_order_is_fine(environment: Environment) -> None:
    aws = existing_bucket(events=True, versions=True)
    environment = with_parameters(environment, MediaBucketName="films")
    assert [one.verdict for one in check("media bucket", environment, aws)] == [Verdict.OK]


def test_a_bucket_that_sends_no_events_would_never_start_anything(
    environment: Environment,
) -> None:
    aws = existing_bucket(events=False, versions=False)
    environment = with_parameters(environment, MediaBucketName="films")
    silent, unversioned = check("media bucket", environment, aws)
    assert (silent.verdict, unversioned.verdict) == (Verdict.PROBLEM, Verdict.WARNING)
    assert "EventBridge" in silent.found


def test_a_bucket_in_another_region_is_a_problem(environment: Environment) -> None:
    aws = existing_bucket(events=True, versions=True)
    environment = with_parameters(environment, MediaBucketName="films").model_copy(
        update={"region": "eu-west-1"}
    )
    found = check("media bucket", environment, aws)
    assert found[0].verdict is Verdict.PROBLEM
    assert "us-east-1" in found[0].found


def test_a_disabled_key_is_a_problem(environment: Environment, aws: Clients) -> None:
    kms = aws("kms")
    key = kms.create_key()["KeyMetadata"]
    environment = with_parameters(environment, EncryptionKeyArn=key["Arn"])
    assert check("keys", environment, aws)[0].verdict is Verdict.OK
    kms.disable_key(KeyId=key["KeyId"])
    assert check("keys", environment, aws)[0].verdict is Verdict.PROBLEM


def test_images_are_looked_for_by_digest(environment: Environment, aws: Clients) -> None:
    ecr = aws("ecr")
    ecr.create_repository(repositoryName="screener/faces")
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {"digest": "sha256:" + "b" * 64},
        }
    )
    put = ecr.put_image(repositoryName="screener/faces", imageManifest=manifest)
    digest = put["image"]["imageId"]["imageDigest"]
    registry = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"
    environment = with_parameters(
        environment,
        FacesImageUri=f"{registry}/screener/faces@{digest}",
        ObjectsImageUri=f"{registry}/screener/faces@{DIGEST}",
        ModerationImageUri=f"{registry}/screener/none@{DIGEST}",
    )
    found = {one.found.partition(":")[0]: one.verdict for one in check("images", environment, aws)}
    assert found == {
        "faces": Verdict.OK,
        "objects": Verdict.PROBLEM,
        "moderation": Verdict.PROBLEM,
        "transcription": Verdict.WARNING,
    }


def publish(aws: Clients, change: Callable[[dict[str, bytes]], None] = lambda _: None) -> str:
    """A pack in S3 as `screener packs publish` leaves it, after `change`."""
    weights = b"weights"
    pack = Pack(
        name="tiny",
        version="1",
        analyzer=Analyzer.FACES,
        role="detector",
        source="made here",
        licence="Apache-2.0",
        files=[PackFile(path="tiny.onnx", sha256="0" * 64, size_bytes=len(weights))],
    )
    digest = identity.packs_digest([(pack.role, pack.digest)])
    objects = {"tiny/tiny.onnx": weights, "tiny/pack.json": pack.model_dump_json().encode()}
    change(objects)
    aws("s3").create_bucket(Bucket="packs")
    for key, body in objects.items():
        aws("s3").put_object(Bucket="packs", Key=f"packs/faces/{digest}/{key}", Body=body)
    return f"s3://packs/packs/faces/{digest}/"


def test_whole_packs_under_their_own_digest_are_fine(aws: Clients) -> None:
    assert packs_problem(aws("s3"), Analyzer.FACES, publish(aws)) == ""


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda objects: objects.clear(), "no pack below"),
        (lambda objects: objects.pop("tiny/tiny.onnx"), "missing or not whole"),
        (lambda objects: objects.update({"tiny/tiny.onnx": b"w"}), "missing or not whole"),
        (
            lambda objects: objects.update(
                {"tiny/pack.json": objects["tiny/pack.json"].replace(b'"1"', b'"2"')}
            ),
            "not those that its digest names",
        ),
        (
            lambda objects: objects.update(
                {"tiny/pack.json": objects["tiny/pack.json"].replace(b'"faces"', b'"objects"')}
            ),
            "is a pack for objects",
        ),
    ],
    ids=["nothing", "no weights", "cut off", "another version", "another analyzer"],
)
def test_packs_that_would_fail_on_the_endpoint_are_found(
    aws: Clients, change: Callable[[dict[str, bytes]], None], problem: str
) -> None:
    assert problem in packs_problem(aws("s3"), Analyzer.FACES, publish(aws, change))


def test_a_refusal_by_aws_is_a_finding_and_the_examination_goes_on(
    environment: Environment, aws: Clients
) -> None:
    roomy = {"AccountLimit": {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 1000}}
    recorded = {  # moto knows neither
        "service-quotas": quotas(**{"ml.g4dn.xlarge": 8.0}),
        "lambda": stubbed("lambda", ("get_account_settings", roomy)),
    }
    environment = with_parameters(environment, MediaBucketName="nobodys-bucket")
    findings = list(examine(environment, lambda name: recorded.get(name, aws)(name)))
    (refused,) = (one for one in findings if one.verdict is Verdict.PROBLEM)
    assert refused.topic == "media bucket"
    assert "NoSuchBucket" in refused.found
    assert [one.topic for one in findings][-1] == "packs", "the examination went on"


def test_without_credentials_one_finding_says_so(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    session = boto3.Session(region_name="us-east-1")
    (finding,) = examine(environment, session.client)  # type: ignore[arg-type]
    assert finding.verdict is Verdict.PROBLEM
    assert "credentials" in finding.remedy
