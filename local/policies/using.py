"""Puts a policy into use: on this machine's stack, or on one in AWS."""

from pathlib import Path
from typing import Protocol

from local.policies.embedding import embed_here, has_clip, key_of
from screener import aws, identity, scene_texts, storage
from screener.observations import TextEmbeddings
from screener.packs import InstalledPack
from screener.policy.loading import DEFAULT_PRESET, load_preset, parse_policy
from screener.policy.model import Policy


class ConfigurationPlace(Protocol):
    """Where a stack finds its configuration, by the work bucket's keys."""

    def put(self, key: str, data: bytes) -> str:
        """Write an object; its address."""


class HomeConfiguration:
    """Files below SCREENER_HOME, which the local stack takes along when it starts."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def put(self, key: str, data: bytes) -> str:
        path = self._home / key
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(data)
        part.replace(path)
        return str(path)


class BucketConfiguration:
    """A work bucket."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def put(self, key: str, data: bytes) -> str:
        aws.s3().put_object(Bucket=self._bucket, Key=key, Body=data)
        return f"s3://{self._bucket}/{key}"


def use_policy(
    place: ConfigurationPlace, data: bytes, policy: Policy, embeddings: TextEmbeddings | None
) -> list[str]:
    """Write a policy and the embeddings of its prompts; the embeddings first, so that no video
    is judged by prompts that have none.

    Returns:
        What was written.
    """
    written = []
    if embeddings is not None:
        body = embeddings.model_dump_json().encode()
        written.append(place.put(key_of(policy, embeddings), body))
    written.append(place.put(storage.POLICY_KEY, data))
    return written


def prepare_home(home: Path, packs: list[InstalledPack]) -> list[str]:
    """Keys of the configuration that a local stack takes along; makes what is missing.

    With a CLIP pack, the prompts of the home's policy (or the default preset) are embedded once.

    Args:
        home: SCREENER_HOME.
        packs: the objects packs that the stack will serve.

    Raises:
        InvalidPolicy: the home's policy cannot be used.
    """
    path = home / storage.POLICY_KEY
    policy = (
        parse_policy(path.read_bytes(), str(path))
        if path.is_file()
        else load_preset(DEFAULT_PRESET)
    )
    keys = [key for key in (storage.POLICY_KEY, storage.KNOWN_FACES_KEY) if (home / key).is_file()]
    if policy.scenes.scenes and has_clip(packs):
        digest = identity.packs_digest((found.pack.role, found.pack.digest) for found in packs)
        key = scene_texts.embeddings_key(policy, digest)
        if not (home / key).is_file():
            body = embed_here(policy, packs).model_dump_json().encode()
            HomeConfiguration(home).put(key, body)
        keys.append(key)
    return keys
