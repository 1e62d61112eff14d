import json
import threading

import pytest
from typer import Typer
from typer.testing import CliRunner

from local.rejudge.archive import BucketArchive, FolderArchive
from local.rejudge.cli import rejudge as command
from local.rejudge.workers import Task, judge_archive
from screener import aws as clients
from screener import identity, scene_texts
from screener.composing import judged_document, pipeline_run, refused_document
from screener.document import Decision, Document, DocumentVideo
from screener.errors import InvalidVideo, RefusalCode
from screener.observations import Analyzer
from screener.policy.engine import judge
from screener.policy.loading import Preset, load_preset
from screener.publishing import Edition, publish_document
from screener.rejudging import CannotRejudge, rejudge, verdict_again
from tests.aws_stand_in import MEDIA_BUCKET, TABLE, WORK_BUCKET, stand_in
from tests.observation_examples import (
    material,
    moderation,
    objects,
    person_vector,
    text_embeddings,
    transcription,
)

BALANCED, STRICT = load_preset(Preset.BALANCED), load_preset(Preset.STRICT)
NOW = "2026-11-23T00:00:00+00:00"
LATER = "2026-11-24T00:00:00+00:00"


def screened(*observations, name="a", policy=BALANCED):
    """A document and the observations that it was made from."""
    given = material(*observations)
    analyses = {
        analyzer: item.__class__(
            **{
                **vars(item),
                "observation_keys": [f"observations/{name}/{analyzer.value}/x/0000.json"],
            }
        )
        for analyzer, item in given.analyses.items()
    }
    video = given.video.model_copy(update={"key": f"uploads/{name}.mp4"})
    given = given.__class__(**{**vars(given), "analyses": analyses, "video": video})
    document = judged_document(
        given,
        judge(given, policy, None),
        pipeline_run("arn:aws:states:::one", NOW, NOW),
        last_modified=NOW,
        instance_types=dict.fromkeys(Analyzer, "ml.g4dn.xlarge"),
    )
    stored = {
        item.observation_keys[0]: item.observations[0].model_dump_json().encode()
        for item in analyses.values()
    }
    return document, stored


UNSAFE = moderation([(0.35, {"FEMALE_BREAST_EXPOSED": 0.3}), (0.1, {}), (0.1, {})])


def test_the_same_policy_says_the_same():
    document, stored = screened(UNSAFE, transcription("i will kill you"))
    again = rejudge(document, BALANCED, None, stored.get, LATER)
    assert again.model_dump(exclude={"pipeline"}) == document.model_dump(exclude={"pipeline"})
    assert again.pipeline.processed_at == LATER
    assert again.pipeline.started_at == NOW


def test_a_stricter_policy_rejects_without_inference():
    document, stored = screened(UNSAFE)
    assert document.verdict.decision is Decision.REVIEW
    again = rejudge(document, STRICT, None, stored.get, LATER)
    assert again.verdict.decision is Decision.REJECT
    assert again.verdict.policy.name == "strict"


@pytest.mark.parametrize("policy", [BALANCED, STRICT], ids=["balanced", "strict"])
def test_the_verdict_alone_is_that_of_the_whole_document(policy):
    document, stored = screened(UNSAFE, transcription("i will kill you"))
    whole = rejudge(document, policy, None, stored.get, LATER)
    assert verdict_again(document, policy, None, stored.get) == whole.verdict


def test_what_it_cost_to_observe_stays():
    document, stored = screened()
    assert document.cost.total_usd > 0
    assert rejudge(document, STRICT, None, stored.get, LATER).cost == document.cost


def test_expired_observations_leave_the_document_alone():
    document, _ = screened()
    with pytest.raises(CannotRejudge, match="has expired"):
        rejudge(document, STRICT, None, lambda _key: None, LATER)


def test_changed_observations_leave_the_document_alone():
    document, _stored = screened()
    with pytest.raises(CannotRejudge, match="problems"):
        rejudge(document, STRICT, None, lambda _key: b"{}", LATER)


def test_observations_are_fetched_at_the_same_time():
    document, stored = screened(UNSAFE)
    together = threading.Barrier(len(Analyzer), timeout=30)

    def read(key):
        if key.startswith("observations/"):
            together.wait()
        return stored.get(key)

    assert rejudge(document, STRICT, None, read, LATER).verdict.decision is Decision.REJECT


def test_a_store_that_refuses_is_an_error_not_a_verdict():
    document, stored = screened(UNSAFE)

    def read(key):
        if "/faces/" in key:
            raise PermissionError(key)
        return stored.get(key)

    with pytest.raises(PermissionError, match="faces"):
        rejudge(document, STRICT, None, read, LATER)


def test_a_refused_video_cannot_be_judged_again():
    refused = refused_document(
        InvalidVideo(RefusalCode.EMPTY_FILE, "x"),
        DocumentVideo(bucket="media-bucket", key="a.mp4"),
        pipeline_run("arn", None, NOW),
    )
    with pytest.raises(CannotRejudge, match="refused"):
        rejudge(refused, STRICT, None, lambda _key: None, LATER)


def test_new_scene_prompts_need_only_their_texts():
    vectors = {prompt: person_vector(i) for i, prompt in enumerate(BALANCED.scenes.prompts)}
    seen = objects([{}] * 3, images=[vectors["a violent scene"]] * 3)
    document, stored = screened(seen)
    assert document.objects.scene_classifications.status == "not_evaluated"
    packs = identity.packs_digest((pack.role, pack.sha256) for pack in seen.packs)
    key = scene_texts.embeddings_key(BALANCED, packs)
    stored[key] = text_embeddings(vectors).model_dump_json().encode()
    again = rejudge(document, BALANCED, None, stored.get, LATER)
    assert again.objects.scene_classifications.status == "evaluated"
    assert again.verdict.reasons[0].category == "violence.physical_violence"


@pytest.fixture
def folder(tmp_path):
    """Three documents and their observations as a copy on disk."""
    for name, seen in (("a", UNSAFE), ("b", moderation([(0.0, {})] * 3)), ("c", UNSAFE)):
        document, stored = screened(seen, name=name)
        target = tmp_path / "documents" / f"{name}.moderation.json"
        target.parent.mkdir(exist_ok=True)
        target.write_text(document.model_dump_json())
        for key, data in stored.items():
            (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / key).write_bytes(data)
    return tmp_path


def run(*arguments):
    app = Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_dry_run_says_what_would_change_and_writes_nothing(folder):
    before = (folder / "documents" / "a.moderation.json").read_bytes()
    result = run(
        folder / "documents", "--observations", folder, "--policy", "strict", "--dry-run",
        "--workers", "1",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "2 of 3 verdicts would change; 0 documents left as they are" in result.output
    assert (folder / "documents" / "a.moderation.json").read_bytes() == before


def test_without_dry_run_the_documents_are_replaced(folder):
    result = run(
        folder / "documents", "--observations", folder, "--policy", "strict", "--workers", "2"
    )
    assert result.exit_code == 0, result.output
    new = Document.model_validate_json((folder / "documents" / "a.moderation.json").read_bytes())
    assert new.verdict.decision is Decision.REJECT
    assert new.verdict.policy.name == "strict"


def test_what_cannot_be_judged_is_listed_and_the_rest_is_judged(folder):
    (folder / "observations/b/faces/x/0000.json").unlink()
    (folder / "documents" / "d.moderation.json").write_text("{}")
    result = run(
        folder / "documents", "--observations", folder, "--policy", "strict", "--json",
        "--workers", "1",
    )  # fmt: skip
    assert result.exit_code == 1
    lines = [json.loads(line) for line in result.output.splitlines()]
    skipped = {line["address"].rpartition("/")[2]: line["skipped"] for line in lines}
    assert "has expired" in skipped["b.moderation.json"]
    assert "not a document" in skipped["d.moderation.json"]
    assert skipped["a.moderation.json"] is None


def test_a_document_cannot_reach_outside_the_observations_folder(folder):
    outside = folder.parent / "secret"
    outside.write_text("x")
    assert FolderArchive(folder).observations("../secret") is None
    assert FolderArchive(folder).observations("/etc/passwd") is None


def test_a_folder_without_documents_is_an_error(tmp_path):
    result = run(tmp_path, "--observations", tmp_path, "--policy", "strict", "--workers", "1")
    assert "no .moderation.json there" in str(result.exception)


def publish(aws, document, started_at=NOW):
    edition = Edition(
        bucket=MEDIA_BUCKET,
        key=document.video.key,
        video_id=document.video_id,
        last_modified=NOW,
        sequencer="00AB",
        started_at=started_at,
    )
    return publish_document(aws.s3, document, edition).location.uri


@pytest.fixture
def aws(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for make in (clients.s3, clients.dynamodb, clients.events):
        make.cache_clear()
    with stand_in() as account:
        yield account
    for make in (clients.s3, clients.dynamodb, clients.events):
        make.cache_clear()


def test_documents_in_s3_are_replaced_where_they_are(aws):
    document, stored = screened(UNSAFE)
    for key, data in stored.items():
        aws.s3.put_object(Bucket=WORK_BUCKET, Key=key, Body=data)
    address = publish(aws, document)
    task = Task(BucketArchive(WORK_BUCKET, TABLE, "default"), STRICT, None, dry_run=False)
    for target in (f"s3://{MEDIA_BUCKET}/uploads/", f"s3://{MEDIA_BUCKET}/uploads/a.mp4", address):
        assert list(task.archive.addresses(target)) == [address]
    (judged,) = judge_archive(task, [address], workers=1)
    assert (judged.old, judged.new, judged.skipped) == (Decision.REVIEW, Decision.REJECT, None)
    assert aws.document("uploads/a.moderation.json")["verdict"]["decision"] == "reject"
    assert aws.row("media-bucket/uploads/a.mp4")["decision"]["S"] == "reject"
    assert aws.heard()[0]["detail"]["decision"] == "reject"


def test_a_newer_run_is_not_overwritten(aws):
    document, stored = screened(UNSAFE)
    for key, data in stored.items():
        aws.s3.put_object(Bucket=WORK_BUCKET, Key=key, Body=data)
    address = publish(aws, document)
    archive = BucketArchive(WORK_BUCKET)
    old = archive.read(address)
    publish(aws, document, started_at=LATER)
    assert not archive.write(address, old)
