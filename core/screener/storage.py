"""Where everything lives in S3. The only file that builds keys.

media bucket   uploads/a/b.mp4
               uploads/a/b.moderation.json
work bucket    media/{video_id}/{sampling_id}/frames-0000.tar | audio-0000.flac | manifest-0000.json
               observations/{video_id}/{analyzer}/{analysis_id}/0000.json
               async/output/... | async/failure/...
               config/policy.yaml | config/known_faces.npz
               config/scene_texts/{packs_digest}/{texts_digest}.json
               rejudge/{execution}/policy.yaml | videos.json | batches/ | map-run/ |
                                   changes.jsonl | summary.json
any bucket     packs/{analyzer}/{packs_digest}/{pack name}/pack.json and its files
"""

from typing import NamedTuple, Self

from screener import identity

MAX_KEY_BYTES = 1024  # S3: an object key's UTF-8
DOCUMENT_SUFFIX = ".moderation.json"
POLICY_KEY = "config/policy.yaml"
KNOWN_FACES_KEY = "config/known_faces.npz"
SCENE_TEXTS_PREFIX = "config/scene_texts/"


class S3Location(NamedTuple):
    """An object's address."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> Self:
        """Parse `s3://bucket/key`.

        Raises:
            ValueError: not an S3 URI with a bucket and a key.
        """
        scheme, _, rest = uri.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme != "s3" or not bucket or not key:
            raise ValueError(f"not an S3 URI: {uri!r}")
        return cls(bucket, key)

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def document_key(video_key: str) -> str:
    """`uploads/a/b.mp4` -> `uploads/a/b.moderation.json`."""
    # Not pathlib: it would collapse "a//b.mp4", which is a different S3 key from "a/b.mp4".
    folder, slash, name = video_key.rpartition("/")
    stem, dot, _ = name.rpartition(".")
    return _within_limit(folder + slash + (stem if dot and stem else name))


def qualified_document_key(video_key: str) -> str:
    """`uploads/a/b.mp4` -> `uploads/a/b.mp4.moderation.json`.

    Used when the short name already belongs to another video (`b.mov` beside `b.mp4`).
    """
    return _within_limit(video_key)


def _within_limit(name: str) -> str:
    """A document's key; of a name that leaves no room for the suffix, the beginning and a digest
    of all of it. Without that, S3 would refuse the document after everything was analysed."""
    key = name + DOCUMENT_SUFFIX
    data = name.encode()
    if len(data) + len(DOCUMENT_SUFFIX) <= MAX_KEY_BYTES:
        return key
    ending = f".{identity.digest_of(['document', name], identity.SHORT_ID_LENGTH)}{DOCUMENT_SUFFIX}"
    return data[: MAX_KEY_BYTES - len(ending)].decode("utf-8", "ignore") + ending


def media_prefix(video_id: str, sampling_id: str) -> str:
    return f"media/{video_id}/{sampling_id}/"


def frames_key(video_id: str, sampling_id: str, chunk: int) -> str:
    return f"{media_prefix(video_id, sampling_id)}frames-{chunk:04d}.tar"


def audio_key(video_id: str, sampling_id: str, chunk: int) -> str:
    return f"{media_prefix(video_id, sampling_id)}audio-{chunk:04d}.flac"


def extraction_key(video_id: str, sampling_id: str, chunk: int) -> str:
    """What ExtractMedia found in one time range; written last, so it marks a finished range."""
    return f"{media_prefix(video_id, sampling_id)}manifest-{chunk:04d}.json"


def observations_prefix(video_id: str) -> str:
    return f"observations/{video_id}/"


def observation_key(video_id: str, analyzer: str, analysis_id: str, chunk: int) -> str:
    return f"{observations_prefix(video_id)}{analyzer}/{analysis_id}/{chunk:04d}.json"


def packs_prefix(analyzer: str, packs_digest: str) -> str:
    """Everything that one endpoint loads; see `identity.packs_digest`."""
    return f"packs/{analyzer}/{packs_digest}/"


def text_embeddings_key(packs_digest: str, texts_digest: str) -> str:
    """Embeddings of scene prompts. Beside the policy, because observations expire."""
    return f"{SCENE_TEXTS_PREFIX}{packs_digest}/{texts_digest}.json"


def rejudging_prefix(execution_name: str) -> str:
    """What judging an archive again reads and leaves; see `archive_messages`."""
    return f"rejudge/{execution_name}/"


def rejudging_policy_key(prefix: str) -> str:
    """The copy that the whole execution judges with, whatever happens to `config/` meanwhile."""
    return f"{prefix}policy.yaml"


def rejudging_batch_key(prefix: str, digest: str) -> str:
    return f"{prefix}batches/{digest}.json"
