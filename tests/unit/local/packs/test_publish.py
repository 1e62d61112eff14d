import json

import boto3
import pytest
from moto import mock_aws

from local.packs import packs_digest, select_packs
from local.packs.catalogue import load_catalogue
from local.packs.errors import PublishFailed
from local.packs.install import Request, pull_pack
from local.packs.places import packs_folder
from local.packs.publish import Target, publish_packs
from screener.errors import InvalidPack
from screener.observations import Analyzer

NAMES = ("nudenet-320n", "opennsfw2")


@pytest.fixture
def client(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="models")
        yield s3


@pytest.fixture
def home(tmp_path):
    catalogue = load_catalogue()
    for name in NAMES:
        pull_pack(catalogue, catalogue[name], Request(home=tmp_path), lambda *_: None)
    return tmp_path


def publish(client, home, target="s3://models/team"):
    packs = select_packs(home)[Analyzer.MODERATION]
    said = []
    done = publish_packs(client, Target.parse(target), Analyzer.MODERATION, packs, said.append)
    return done, said


def keys(client):
    return [item["Key"] for item in client.list_objects_v2(Bucket="models").get("Contents", [])]


def test_packs_lie_uncompressed_under_the_digest_of_their_choice(client, home):
    done, said = publish(client, home)
    digest = packs_digest(select_packs(home)[Analyzer.MODERATION])
    prefix = f"team/packs/moderation/{digest}/"
    assert done.uri == f"s3://models/{prefix}"
    assert keys(client) == [
        prefix + name
        for name in (
            "nudenet-320n/320n.onnx",
            "nudenet-320n/pack.json",
            "opennsfw2/open_nsfw.onnx",
            "opennsfw2/pack.json",
        )
    ]
    body = client.get_object(Bucket="models", Key=f"{prefix}opennsfw2/open_nsfw.onnx")["Body"]
    weights = packs_folder(home) / "opennsfw2" / "open_nsfw.onnx"
    assert body.read() == weights.read_bytes()
    assert said[0].startswith(f"s3://models/{prefix}nudenet-320n/320n.onnx") or len(said) == 4


def test_publishing_again_uploads_nothing(client, home):
    first, _ = publish(client, home)
    again, said = publish(client, home)
    assert (first.uploaded, first.present) == (4, 0)
    assert (again.uploaded, again.present, said) == (0, 4, [])
    assert again.uri == first.uri


def test_an_upload_that_stopped_half_way_is_completed(client, home):
    done, _ = publish(client, home)
    gone = [key for key in keys(client) if key.endswith("opennsfw2/pack.json")]
    client.delete_object(Bucket="models", Key=gone[0])
    again, _ = publish(client, home)
    assert (again.uploaded, again.present) == (1, 3)
    assert again.uri == done.uri


def test_other_bytes_under_our_name_are_not_taken_for_ours(client, home):
    publish(client, home)
    [weights] = [key for key in keys(client) if key.endswith("320n.onnx")]
    client.put_object(Bucket="models", Key=weights, Body=b"other")
    with pytest.raises(PublishFailed, match=r"320n\.onnx holds other bytes"):
        publish(client, home)


def test_a_changed_pack_is_refused_before_anything_is_uploaded(client, home):
    weights = packs_folder(home) / "opennsfw2" / "open_nsfw.onnx"
    content = bytearray(weights.read_bytes())
    content[5000] ^= 1
    weights.write_bytes(content)
    with pytest.raises(InvalidPack):
        publish(client, home)
    assert keys(client) == []


def test_a_bucket_that_is_not_there_is_reported_with_its_name(client, home):
    with pytest.raises(PublishFailed, match="s3://nowhere/packs/moderation"):
        publish(client, home, "s3://nowhere")


@pytest.mark.parametrize("uri", ["models", "https://models", "s3://", "s3:///key", ""])
def test_only_an_s3_address_is_a_target(uri):
    with pytest.raises(PublishFailed, match="is not s3://BUCKET"):
        Target.parse(uri)


def test_a_target_may_have_a_prefix_with_or_without_slashes():
    assert Target.parse("s3://models") == Target.parse("s3://models/") == Target("models", "")
    assert Target.parse("s3://models/a/b/") == Target("models", "a/b/")


def test_the_description_is_json_that_names_the_licence(client, home):
    publish(client, home)
    [key] = [key for key in keys(client) if key.endswith("opennsfw2/pack.json")]
    pack = json.load(client.get_object(Bucket="models", Key=key)["Body"])
    assert pack["licence"].startswith("BSD-2-Clause")
