"""The doctor's look at what a deploy has published before: images in ECR, packs in S3."""

from collections.abc import Iterator
from typing import Any

from local.operate.environments import Environment
from local.operate.findings import Finding, Verdict
from local.operate.stacks import Clients
from screener import identity
from screener.observations import Analyzer
from screener.packs import PACK_FILE, Pack
from screener.storage import S3Location


def images(environment: Environment, client: Clients) -> Iterator[Finding]:
    """Whether each analyzer's image is in ECR under its digest."""
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


def packs(environment: Environment, client: Clients) -> Iterator[Finding]:
    """Whether each analyzer's packs are in S3 and whole."""
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
