"""What would go wrong at the first deploy, found before it costs anything. Changes nothing."""

from collections.abc import Callable, Iterator

from botocore.exceptions import BotoCoreError, ClientError

from local.operate.endpoint_types import present_types
from local.operate.environments import Environment
from local.operate.findings import Finding, Verdict
from local.operate.published_checks import images, packs
from local.operate.stacks import Clients
from screener.observations import Analyzer

ENDPOINT_NAME_LIMIT = 63  # SageMaker: CreateEndpoint.EndpointName
UNRESERVED_CONCURRENCY = 100  # Lambda keeps this many free of reservations
NEW_ACCOUNT_CONCURRENCY = 10


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


CHECKS: dict[str, Callable[[Environment, Clients], Iterator[Finding]]] = {
    "credentials": _credentials,
    "names": _names,
    "quotas": _quotas,
    "instance types": _instance_types,
    "concurrency": _concurrency,
    "media bucket": _media_bucket,
    "keys": _key,
    "images": images,
    "packs": packs,
}
