from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from local.faces.cli import app
from local.faces.enrolling import UnknownPerson, WrongRecogniser, doubts, enrol, merged, removed
from local.faces.forgetting import forget_person, forget_video
from local.faces.portraits import Portrait
from screener import aws as connections
from screener import storage
from screener.observations import Box
from screener.policy.known_faces import IdentityNote, load_known_faces
from tests.aws_stand_in import TABLE, WORK_BUCKET, stand_in
from tests.observation_examples import face, faces, pack, person_vector

NOW = "2026-11-23T00:00:00+00:00"


def portraits(*labels):
    return [Portrait(label, Path(f"{label}-{number}.jpg")) for number, label in enumerate(labels)]


def sized(vector, size):
    return face(vector).model_copy(update={"box": Box(left=0, top=0, width=size, height=size)})


def enrolled(frames, *labels, **options):
    return enrol(
        portraits(*labels),
        faces(frames, **options),
        {"ann": IdentityNote(urls=["https://example.org"])},
        NOW,
    )


ANN, BOB = [face(person_vector(0))], [face(person_vector(1))]


def test_each_portrait_gives_a_row():
    known = load_known_faces(merged(None, enrolled([ANN, BOB, ANN], "ann", "bob", "ann")))
    assert known.labels == ("ann", "ann", "bob")
    assert known.note("ann").urls == ["https://example.org"]
    assert known.note("bob").enrolled_at == NOW


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        ([], "no face"),
        ([face(person_vector(0), score=0.2)], "no face"),
        ([sized(person_vector(0), 0.3), sized(person_vector(1), 0.3)], "2 faces of similar size"),
    ],
)
def test_a_portrait_without_one_clear_face_is_left_out(seen, reason):
    enrolment = enrolled([seen, BOB], "ann", "bob")
    assert enrolment.labels == ["bob"]
    assert reason in enrolment.refused[0].reason


def test_the_main_face_counts_when_others_are_small():
    enrolment = enrolled([[sized(person_vector(1), 0.1), sized(person_vector(0), 0.5)]], "ann")
    assert float(enrolment.vectors[0] @ person_vector(0)) > 0.99


def test_enrolling_again_replaces_a_person_and_keeps_the_others():
    first = load_known_faces(merged(None, enrolled([ANN, BOB], "ann", "bob")))
    again = load_known_faces(merged(first, enrolled([[face(person_vector(7))]], "ann")))
    assert again.people == ("ann", "bob")
    best = again.similarities(np.stack([person_vector(7), person_vector(0)]))
    assert best[0][0] > 0.99
    assert best[1][0] < 0.1


def test_weights_are_never_mixed():
    first = load_known_faces(merged(None, enrolled([ANN], "ann")))
    other = enrolled([BOB], "bob", recogniser=pack("recogniser", "w600k-r50"))
    with pytest.raises(WrongRecogniser, match="enroll everybody anew"):
        merged(first, other)


def test_a_person_can_be_removed():
    known = load_known_faces(merged(None, enrolled([ANN, BOB], "ann", "bob")))
    less = load_known_faces(removed(known, "ann"))
    assert less.people == ("bob",)
    assert "ann" not in less.metadata.identities
    with pytest.raises(UnknownPerson, match="carl"):
        removed(known, "carl")


def test_the_last_person_can_be_removed():
    known = load_known_faces(merged(None, enrolled([ANN], "ann")))
    assert load_known_faces(removed(known, "ann")).people == ()


def test_doubtful_portraits_are_pointed_out():
    data = merged(None, enrolled([ANN, BOB, ANN], "ann", "ann", "carl"))
    text = "\n".join(doubts(data, 0.5))
    assert "unlike the others" in text
    assert "ann and carl look alike" in text


def test_clear_portraits_raise_no_doubt():
    assert doubts(merged(None, enrolled([ANN, BOB], "ann", "bob")), 0.5) == []


@pytest.fixture
def aws():
    with stand_in() as account:
        account.s3.put_bucket_versioning(
            Bucket=WORK_BUCKET, VersioningConfiguration={"Status": "Enabled"}
        )
        yield account


def keys(aws):
    page = aws.s3.list_object_versions(Bucket=WORK_BUCKET)
    return sorted(item["Key"] for item in page.get("Versions", []))


def test_forgetting_a_video_leaves_no_version_of_it(aws):
    for name in ("v1", "v2"):
        for _ in range(2):
            aws.s3.put_object(
                Bucket=WORK_BUCKET, Key=storage.observation_key(name, "faces", "a", 0), Body=b"x"
            )
        aws.s3.put_object(Bucket=WORK_BUCKET, Key=storage.frames_key(name, "s", 0), Body=b"x")
    assert forget_video(aws.s3, WORK_BUCKET, "v1") == 3
    assert {key.split("/")[1] for key in keys(aws)} == {"v2"}


def test_forgetting_a_person_deletes_faces_where_they_were_found(aws):
    for name in ("v1", "v2"):
        for analyzer in ("faces", "moderation"):
            aws.s3.put_object(
                Bucket=WORK_BUCKET, Key=storage.observation_key(name, analyzer, "a", 0), Body=b"x"
            )
    aws.dynamodb.put_item(
        TableName=TABLE,
        Item={
            "video": {"S": "face:1:media/a.mp4"},
            "video_id": {"S": "v1"},
            "face_label": {"S": "ann"},
            "processed_at": {"S": NOW},
        },
    )
    assert forget_person(aws.s3, aws.dynamodb, WORK_BUCKET, TABLE, "ann") == (1, 1)
    assert keys(aws) == sorted(
        [
            storage.observation_key("v1", "moderation", "a", 0),
            storage.observation_key("v2", "faces", "a", 0),
            storage.observation_key("v2", "moderation", "a", 0),
        ]
    )
    assert aws.index("by-face-label", "face_label", "ann") == []


def test_forgetting_a_person_leaves_no_version_of_the_index_that_knows_them(aws, monkeypatch):
    monkeypatch.setattr(connections, "s3", lambda: aws.s3)
    monkeypatch.setattr(connections, "dynamodb", lambda: aws.dynamodb)
    known = merged(None, enrolled([ANN, BOB], "ann", "bob"))
    other = f"{storage.KNOWN_FACES_KEY}.note"
    for key, body in [(storage.KNOWN_FACES_KEY, known), (other, b"1"), (other, b"2")]:
        aws.s3.put_object(Bucket=WORK_BUCKET, Key=key, Body=body)
    arguments = ["forget", "--label", "ann", "--work-bucket", WORK_BUCKET, "--table", TABLE]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert keys(aws) == [storage.KNOWN_FACES_KEY, other, other]
    left = aws.s3.get_object(Bucket=WORK_BUCKET, Key=storage.KNOWN_FACES_KEY)["Body"].read()
    assert load_known_faces(left).people == ("bob",)
