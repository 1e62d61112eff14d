"""Makes the embeddings of a policy's scene prompts: with packs of this machine, or by asking a
deployed endpoint."""

import time
from io import BytesIO
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from pydantic import ValidationError

from local.model_call import model_server
from screener import identity, scene_texts
from screener.errors import ScreenerError
from screener.messages import InvocationAttributes, TextEmbeddingRequest
from screener.observation_store import read_object
from screener.observations import Analyzer, TextEmbeddings
from screener.packs import InstalledPack
from screener.policy.model import Policy
from screener.storage import S3Location

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

JSON = "application/json"
MAX_ANSWER_BYTES = 64 * 1024 * 1024
_WAIT_SECONDS = 1_800
_LOOK_SECONDS = 2.0


class NoEmbeddings(ScreenerError):
    """The prompts could not be embedded; the message says why."""


def has_clip(packs: list[InstalledPack]) -> bool:
    return any(found.pack.role == scene_texts.CLIP for found in packs)


def embed_here(policy: Policy, packs: list[InstalledPack]) -> TextEmbeddings:
    """Embed with the objects packs of this machine.

    Raises:
        NoEmbeddings: none of them is a CLIP pack, or the server answers something else.
        StartupFailed, ModelError: the server does not start, or refuses.
    """
    if not has_clip(packs):
        raise NoEmbeddings("no CLIP pack here: screener packs pull clip-vit-b-32")
    with model_server(Analyzer.OBJECTS, packs) as call:
        return _parsed(call(JSON, BytesIO(_request(policy))), "the objects server")


def embed_at_endpoint(
    policy: Policy,
    endpoint: str,
    s3: "S3Client",
    runtime: "SageMakerRuntimeClient",
    work_bucket: str,
) -> TextEmbeddings:
    """Embed with a deployed objects endpoint; waking it from zero may take minutes.

    Raises:
        NoEmbeddings: it refuses, or does not answer in time.
        botocore.exceptions.ClientError: AWS refuses.
    """
    digest = scene_texts.texts_digest(policy.scenes.prompts)
    source = S3Location(work_bucket, f"media/texts/{digest}.json")
    s3.put_object(Bucket=source.bucket, Key=source.key, Body=_request(policy), ContentType=JSON)
    asked = runtime.invoke_endpoint_async(
        EndpointName=endpoint,
        InputLocation=source.uri,
        ContentType=JSON,
        Accept=JSON,
        CustomAttributes=InvocationAttributes(video_id="texts", chunk=0).model_dump_json(
            exclude_none=True
        ),
    )
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        answer = _read(s3, asked["OutputLocation"])
        if answer is not None:
            return _parsed(answer, endpoint)
        failure = _read(s3, asked["FailureLocation"])
        if failure is not None:
            raise NoEmbeddings(f"{endpoint}: {failure.decode('utf-8', 'replace')[:1_000]}")
        time.sleep(_LOOK_SECONDS)
    raise NoEmbeddings(f"{endpoint} has not answered within {_WAIT_SECONDS} s")


def key_of(policy: Policy, embeddings: TextEmbeddings) -> str:
    """Where judgements look for them: named by the packs that made them and by the prompts."""
    digest = identity.packs_digest((pack.role, pack.sha256) for pack in embeddings.packs)
    return scene_texts.embeddings_key(policy, digest)


def _request(policy: Policy) -> bytes:
    return TextEmbeddingRequest(texts=policy.scenes.prompts).model_dump_json().encode()


def _read(s3: "S3Client", uri: str) -> bytes | None:
    location = S3Location.parse(uri)
    try:
        return read_object(s3, location.bucket, location.key, MAX_ANSWER_BYTES)
    except ClientError as error:
        raise NoEmbeddings(f"{uri}: {error}") from error


def _parsed(answer: bytes, who: str) -> TextEmbeddings:
    try:
        return TextEmbeddings.model_validate_json(answer)
    except ValidationError as cause:
        raise NoEmbeddings(f"{who} does not answer with embeddings: {cause}") from cause
