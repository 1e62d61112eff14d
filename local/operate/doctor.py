"""What would go wrong at the first deploy, found before it costs anything. Changes nothing."""

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.operate.endpoint_types import present_types
from local.operate.environments import Environment
from local.operate.stacks import Clients
from screener import identity
from screener.model import Message
from screener.observations import Analyzer
from screener.packs import PACK_FILE, Pack
from screener.storage import S3Location

ENDPOINT_NAME_LIMIT = 63  # SageMaker: CreateEndpoint.EndpointName
UNRESERVED_CONCURRENCY = 100  # Lambda keeps this many free of reservations
NEW_ACCOUNT_CONCURRENCY = 10


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(Message):
    """One answer."""

    topic: str
    verdict: Verdict
    found: str
    remedy: str = ""
    """What to do; empty when there is nothing to do."""


def examine(environment: Environment, client: Clients) -> Iterator[Finding]:
    """Every check, one after the other; one that AWS refuses to answer is a problem itself.

    Args:
        environment: what is to be deployed.
        client: clients in the environment's region.
    """
    for topic, check in CHECKS.items():
        try:
            yield from check(environment, client)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            yield Finding(
                topic=topic,
                verdict=Verdict.PROBLEM,
                found=f"{error.operation_name} answers {code}",
                remedy="allow this to whoever runs the doctor, or look by hand",
            )
        except BotoCoreError as error:
            yield Finding(
                topic=topic,
                verdict=Verdict.PROBLEM,
                found=str(error),
                remedy="set credentials and region (`aws configure`, `aws sso login`)",
            )
            return


def _credentials(environment: Environment, client: Clients) -> Iterator[Finding]:
    who = client("sts").get_caller_identity()
    yield Finding(
        topic="credentials",
        verdict=Verdict.OK,
        found=f"{who['Arn']} in account {who['Account']}, {environment.region}",
    )


def _names(environment: Environment, _client: Clients) -> Iterator[Finding]:
    name = environment.stack_name
    longest = max(len(f"{name}-{analyzer}") for analyzer in Analyzer)
    if name != name.lower():
        found = f"stack name {name!r} has capitals: IAM compares endpoint ARNs in lower case"
    elif longest > ENDPOINT_NAME_LIMIT:
        found = f"{name}-{Analyzer.TRANSCRIPTION} has {longest} characters, an endpoint name 63"
    else:
        yield Finding(topic="names", verdict=Verdict.OK, found=f"stack {name}")
        return
    yield Finding(
        topic="names",
        verdict=Verdict.PROBLEM,
        found=found,
        remedy="change stack_name in samconfig.toml",
    )


def wanted_instances(environment: Environment) -> dict[str, dict[Analyzer, int]]:
    """The most instances that each endpoint may grow to, by instance type: what quotas must allow.

    All analyzers count as long as none has an image and packs, as before a first deploy.
    """
    wanted: dict[str, dict[Analyzer, int]] = {}
    for analyzer in environment.deployed or list(Analyzer):
        for instance_type in environment.instance_types(analyzer):
            most = environment.max_instances(analyzer)
            wanted.setdefault(instance_type, {})[analyzer] = most
    return wanted


def _quotas(environment: Environment, client: Clients) -> Iterator[Finding]:
    allowed = {
        quota["QuotaName"]: quota
        for page in client("service-quotas")
        .get_paginator("list_service_quotas")
        .paginate(ServiceCode="sagemaker")
        for quota in page["Quotas"]
    }
    for instance_type, by_analyzer in sorted(wanted_instances(environment).items()):
        name, count = f"{instance_type} for endpoint usage", sum(by_analyzer.values())
        if name not in allowed:
            yield Finding(
                topic="quotas",
                verdict=Verdict.PROBLEM,
                found=f"SageMaker has no quota {name!r} in {environment.region}",
                remedy="this region does not offer the type: choose another in samconfig.toml",
            )
            continue
        quota = allowed[name]
        if quota["Value"] < count:
            wanted = " + ".join(
                f"{analyzer.capitalize()}MaxInstances={most}"
                for analyzer, most in by_analyzer.items()
            )
            yield Finding(
                topic="quotas",
                verdict=Verdict.PROBLEM,
                found=f"{name}: {quota['Value']:g} allowed, {count} wanted by {wanted}",
                remedy="ask for it, which can take days: aws service-quotas"
                " request-service-quota-increase --service-code sagemaker"
                f" --quota-code {quota['QuotaCode']} --desired-value {count}"
                f" --region {environment.region}; or deploy with fewer:"
                " docs/operate.md#with-a-smaller-quota",
            )
        else:
            yield Finding(
                topic="quotas",
                verdict=Verdict.OK,
                found=f"{name}: {count} of {quota['Value']:g}",
            )


def _instance_types(environment: Environment, client: Clients) -> Iterator[Finding]:
    sagemaker = client("sagemaker")
    for analyzer in environment.deployed:
        name = f"{environment.stack_name}-{analyzer}"
        wanted = environment.instance_types(analyzer)
        present = present_types(sagemaker, name)
        if present in ([], wanted):
            yield Finding(
                topic="instance types",
                verdict=Verdict.OK,
                found=f"{name}: {', '.join(wanted)}{'' if present else ', a new endpoint'}",
            )
        else:
            yield Finding(
                topic="instance types",
                verdict=Verdict.PROBLEM,
                found=f"{name} has {', '.join(present)}, wanted {', '.join(wanted)}: SageMaker"
                " changes no type of an endpoint that scales by itself",
                remedy="docs/operate.md#another-instance-type: take the endpoint away, then back",
            )


def _concurrency(environment: Environment, client: Clients) -> Iterator[Finding]:
    limits = client("lambda").get_account_settings()["AccountLimit"]
    total, free = limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"]
    reserved = int(environment.parameters["ExtractMediaConcurrency"])
    if reserved and free - reserved < UNRESERVED_CONCURRENCY:
        yield Finding(
            topic="concurrency",
            verdict=Verdict.PROBLEM,
            found=f"{reserved} to reserve of {free} unreserved: Lambda keeps 100 unreserved",
            remedy="lower ExtractMediaConcurrency (0 reserves none) or raise the Lambda quota",
        )
    elif total <= NEW_ACCOUNT_CONCURRENCY:
        yield Finding(
            topic="concurrency",
            verdict=Verdict.WARNING,
            found=f"the account runs {total} functions at a time, as new accounts do",
            remedy=f"raise the Lambda quota, or set MaxRunningExecutions to {total // 3 or 1}",
        )
    else:
        yield Finding(topic="concurrency", verdict=Verdict.OK, found=f"{free} of {total} free")


def _media_bucket(environment: Environment, client: Clients) -> Iterator[Finding]:
    bucket = environment.parameters["MediaBucketName"]
    if not bucket:
        yield Finding(topic="media bucket", verdict=Verdict.OK, found="the stack makes one")
        return
    s3 = client("s3")
    region = s3.get_bucket_location(Bucket=bucket).get("LocationConstraint") or "us-east-1"
    if region != environment.region:
        yield Finding(
            topic="media bucket",
            verdict=Verdict.PROBLEM,
            found=f"{bucket} is in {region}, the stack in {environment.region}",
            remedy="deploy in the bucket's region",
        )
    configuration = s3.get_bucket_notification_configuration(Bucket=bucket)
    if "EventBridgeConfiguration" not in configuration:
        yield Finding(
            topic="media bucket",
            verdict=Verdict.PROBLEM,
            found=f"{bucket} sends no events to EventBridge: no upload would ever be screened",
            remedy="S3 console, Properties, Amazon EventBridge: On (other notifications stay)",
        )
    else:
        yield Finding(topic="media bucket", verdict=Verdict.OK, found=f"{bucket} sends events")
    if s3.get_bucket_versioning(Bucket=bucket).get("Status") != "Enabled":
        yield Finding(
            topic="media bucket",
            verdict=Verdict.WARNING,
            found=f"{bucket} keeps no versions: a video replaced while in work cannot be read",
            remedy="switch versioning on, or live with executions that fail for such videos",
        )


def _key(environment: Environment, client: Clients) -> Iterator[Finding]:
    for parameter in ("EncryptionKeyArn", "MediaBucketKeyArn"):
        arn = environment.parameters[parameter]
        if not arn:
            continue
        state = client("kms").describe_key(KeyId=arn)["KeyMetadata"]["KeyState"]
        yield Finding(
            topic="keys",
            verdict=Verdict.OK if state == "Enabled" else Verdict.PROBLEM,
            found=f"{parameter}: {state}",
            remedy="" if state == "Enabled" else "enable the key or choose another",
        )


def _images(environment: Environment, client: Clients) -> Iterator[Finding]:
    for analyzer in Analyzer:
        uri = environment.image_uri(analyzer)
        if not uri:
            yield _not_deployed(analyzer, "image")
            continue
        repository, _, digest = uri.partition("/")[2].partition("@")
        ecr = client("ecr")
        try:
            ecr.describe_images(repositoryName=repository, imageIds=[{"imageDigest": digest}])
        except (
            ecr.exceptions.ImageNotFoundException,
            ecr.exceptions.RepositoryNotFoundException,
        ):
            yield Finding(
                topic="images",
                verdict=Verdict.PROBLEM,
                found=f"{analyzer}: {uri} is not in ECR",
                remedy="screener deploy --only images",
            )
        else:
            yield Finding(topic="images", verdict=Verdict.OK, found=f"{analyzer}: {repository}")


def _packs(environment: Environment, client: Clients) -> Iterator[Finding]:
    for analyzer in Analyzer:
        uri = environment.packs(analyzer)
        if not uri:
            yield _not_deployed(analyzer, "packs")
            continue
        problem = packs_problem(client("s3"), analyzer, uri)
        yield Finding(
            topic="packs",
            verdict=Verdict.PROBLEM if problem else Verdict.OK,
            found=f"{analyzer}: {problem or uri}",
            remedy="screener deploy --only packs" if problem else "",
        )


def packs_problem(s3: Any, analyzer: Analyzer, uri: str) -> str:
    """What is wrong with published packs; empty when every file is there in its size.

    Weights are not downloaded: the prefix is the digest of every pack.json, which holds the
    digest of every file, and the model server checks those when it starts.
    """
    location = S3Location.parse(uri)
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=location.bucket, Prefix=location.key
    )
    sizes = {item["Key"]: item["Size"] for page in pages for item in page.get("Contents", [])}
    found: list[tuple[str, str]] = []
    for key in sizes:
        folder, _, name = key.rpartition("/")
        if name != PACK_FILE:
            continue
        pack = Pack.model_validate_json(
            s3.get_object(Bucket=location.bucket, Key=key)["Body"].read()
        )
        if pack.analyzer is not analyzer:
            return f"{key} is a pack for {pack.analyzer}"
        for file in pack.files:
            if sizes.get(f"{folder}/{file.path}") != file.size_bytes:
                return f"{folder}/{file.path} is missing or not whole"
        found.append((pack.role, pack.digest))
    if not found:
        return f"no pack below {uri}"
    if identity.packs_digest(found) != location.key.rstrip("/").rpartition("/")[2]:
        return f"the packs below {uri} are not those that its digest names"
    return ""


def _not_deployed(analyzer: Analyzer, what: str) -> Finding:
    return Finding(
        topic="images" if what == "image" else "packs",
        verdict=Verdict.WARNING,
        found=f"{analyzer}: no {what} given, so it is left out and nothing can be approved",
        remedy="make deploy publishes both",
    )


CHECKS: dict[str, Callable[[Environment, Clients], Iterator[Finding]]] = {
    "credentials": _credentials,
    "names": _names,
    "quotas": _quotas,
    "instance types": _instance_types,
    "concurrency": _concurrency,
    "media bucket": _media_bucket,
    "keys": _key,
    "images": _images,
    "packs": _packs,
}
