"""Embeddings of a policy's scene prompts: one small request per policy and set of weights.

    config/scene_texts/{packs_digest}/{texts_digest}.json

Made once by the objects server (`screener policy use`), then read by every judgement.
The name follows from the packs and the prompts, so a changed prompt is simply another name.
"""

from collections.abc import Callable, Iterable, Sequence

from pydantic import ValidationError

from screener import identity, storage
from screener.observations import PackReference, TextEmbeddings
from screener.policy.model import Policy

CLIP = "clip"


def texts_digest(prompts: Sequence[str]) -> str:
    """Identity of a list of prompts."""
    return identity.digest_of(["texts", *prompts], identity.VIDEO_ID_LENGTH)


def embeddings_key(policy: Policy, packs_digest: str) -> str:
    """Where the embeddings of a policy's prompts are, made by an endpoint with these packs."""
    return storage.text_embeddings_key(packs_digest, texts_digest(policy.scenes.prompts))


def stored_embeddings(
    read: Callable[[str], bytes | None], policy: Policy, packs: Iterable[PackReference]
) -> list[TextEmbeddings]:
    """The stored embeddings of a policy's prompts.

    Args:
        read: gives the object of a work bucket key, None when there is none.
        policy: whose prompts.
        packs: those that made the frames' embeddings.

    Returns:
        One result, or nothing: not asked yet, no CLIP pack, or an unreadable object. Scenes are
        then "not evaluated", which says so in the document.
    """
    given = list(packs)
    if not policy.scenes.scenes or not any(pack.role == CLIP for pack in given):
        return []
    digest = identity.packs_digest((pack.role, pack.sha256) for pack in given)
    data = read(embeddings_key(policy, digest))
    if data is None:
        return []
    try:
        return [TextEmbeddings.model_validate_json(data)]
    except ValidationError:
        return []
