"""Events of writes that really go through the gateway to S3."""

import io
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from local.stack.object_events import ObjectEvents, find_write, object_of
from tests.unit.local.stack.conftest import PLAIN, SILENT, VERSIONED, Running


class Heard:
    """Events as they were delivered."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def one_more(self, than: int = 0) -> dict[str, Any]:
        deadline = time.monotonic() + 5
        while len(self.events) <= than and time.monotonic() < deadline:
            time.sleep(0.005)
        assert len(self.events) == than + 1
        return self.events[than]


@pytest.fixture
def heard(running: Running) -> Iterator[Heard]:
    heard = Heard()
    events = ObjectEvents(
        running.services.s3,
        {VERSIONED, PLAIN},
        heard.events.append,
        region="us-east-1",
        account="123456789012",
    )
    running.gateway.object_events = events
    yield heard
    running.gateway.object_events = None
    events.close()


def test_a_put_becomes_an_event_with_what_aws_puts_in_it(running: Running, heard: Heard) -> None:
    put = running.services.s3.put_object(Bucket=VERSIONED, Key="a/b.mp4", Body=b"12345")
    event = heard.one_more()
    created = event["detail"]["object"]
    assert event["source"] == "aws.s3"
    assert event["detail-type"] == "Object Created"
    assert event["resources"] == [f"arn:aws:s3:::{VERSIONED}"]
    assert event["detail"]["bucket"] == {"name": VERSIONED}
    assert event["detail"]["reason"] == "PutObject"
    assert created["key"] == "a/b.mp4"
    assert created["size"] == 5
    assert created["version-id"] == put["VersionId"]
    assert created["etag"] == put["ETag"].strip('"')


def test_without_versioning_there_is_no_version_id(running: Running, heard: Heard) -> None:
    running.services.s3.put_object(Bucket=PLAIN, Key="a.mp4", Body=b"1")
    assert "version-id" not in heard.one_more()["detail"]["object"]


def test_later_writes_have_greater_sequencers_and_own_ids(running: Running, heard: Heard) -> None:
    for number in range(4):
        running.services.s3.put_object(Bucket=VERSIONED, Key="same.mp4", Body=b"x" * number)
    heard.one_more(3)
    objects = [event["detail"]["object"] for event in heard.events]
    assert [one["size"] for one in objects] == [0, 1, 2, 3]
    sequencers = [one["sequencer"] for one in objects]
    assert sequencers == sorted(set(sequencers))
    assert len({event["id"] for event in heard.events}) == 4


def test_a_multipart_upload_is_one_event_of_its_whole_size(running: Running, heard: Heard) -> None:
    size = 11 * 1024 * 1024
    running.services.s3.upload_fileobj(
        io.BytesIO(bytes(size)),
        VERSIONED,
        "big.mp4",
        Config=TransferConfig(multipart_threshold=1, multipart_chunksize=5 * 1024 * 1024),
    )
    event = heard.one_more()
    assert event["detail"]["reason"] == "CompleteMultipartUpload"
    assert event["detail"]["object"]["size"] == size
    assert event["detail"]["object"]["etag"].endswith("-3")


def test_a_copy_is_an_event_of_the_copy(running: Running, heard: Heard) -> None:
    s3 = running.services.s3
    s3.put_object(Bucket=SILENT, Key="from.mp4", Body=b"abc")
    s3.copy_object(Bucket=VERSIONED, Key="to.mp4", CopySource={"Bucket": SILENT, "Key": "from.mp4"})
    event = heard.one_more()
    assert event["detail"]["reason"] == "CopyObject"
    assert event["detail"]["object"]["key"] == "to.mp4"


@pytest.mark.parametrize(
    "key",
    [
        "with space.mp4",
        "plus+plus.mp4",
        'quote".mp4',
        "apostrophe'.mp4",
        "percent%20.mp4",
        "hash#question?.mp4",
        "ümlaut/日本語/🎬.mp4",
        "two//slashes.mp4",
        "dots/../up.mp4",
        "amp&equals=.mp4",
    ],
)
def test_the_key_of_the_event_is_the_key_of_the_object(
    running: Running, heard: Heard, key: str
) -> None:
    running.services.s3.put_object(Bucket=VERSIONED, Key=key, Body=b"x")
    event = heard.one_more()
    assert event["detail"]["object"]["key"] == key
    assert running.services.s3.head_object(Bucket=VERSIONED, Key=key)["ContentLength"] == 1


def test_a_presigned_upload_is_an_event(running: Running, heard: Heard) -> None:
    url = running.services.s3.generate_presigned_url(
        "put_object", Params={"Bucket": VERSIONED, "Key": "pre signed.mp4"}
    )
    request = urllib.request.Request(url, data=b"body", method="PUT")  # noqa: S310 - our gateway
    urllib.request.urlopen(request).close()  # noqa: S310
    assert heard.one_more()["detail"]["object"]["key"] == "pre signed.mp4"


def test_only_writes_that_succeed_in_buckets_that_send_become_events(
    running: Running, heard: Heard
) -> None:
    s3 = running.services.s3
    s3.put_object(Bucket=SILENT, Key="quiet.mp4", Body=b"x")
    with pytest.raises(ClientError):
        s3.copy_object(Bucket=PLAIN, Key="x.mp4", CopySource={"Bucket": SILENT, "Key": "none"})
    upload = s3.create_multipart_upload(Bucket=PLAIN, Key="part.mp4")["UploadId"]
    s3.upload_part(Bucket=PLAIN, Key="part.mp4", PartNumber=1, UploadId=upload, Body=b"x")
    s3.abort_multipart_upload(Bucket=PLAIN, Key="part.mp4", UploadId=upload)
    s3.put_object(Bucket=PLAIN, Key="loud.mp4", Body=b"x")
    s3.put_object_tagging(
        Bucket=PLAIN, Key="loud.mp4", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]}
    )
    s3.get_object(Bucket=PLAIN, Key="loud.mp4")
    s3.delete_object(Bucket=PLAIN, Key="loud.mp4")
    s3.put_object(Bucket=PLAIN, Key="last.mp4", Body=b"x")
    deadline = time.monotonic() + 5
    while not heard.events or heard.events[-1]["detail"]["object"]["key"] != "last.mp4":
        assert time.monotonic() < deadline
        time.sleep(0.005)
    # "loud" was deleted before or after its event was made; nothing else may be there.
    keys = [event["detail"]["object"]["key"] for event in heard.events]
    assert keys in (["loud.mp4", "last.mp4"], ["last.mp4"])


def test_a_form_upload_is_refused_rather_than_left_without_event(
    running: Running, heard: Heard
) -> None:
    request = urllib.request.Request(  # noqa: S310 - our gateway
        f"{running.url}/{VERSIONED}",
        data=b"--x--",
        method="POST",
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)  # noqa: S310
    assert refused.value.code == 501
    refused.value.close()


def test_the_bucket_may_stand_in_the_host_name() -> None:
    environ = {
        "REQUEST_METHOD": "PUT",
        "HTTP_HOST": "videos.localhost:4580",
        "PATH_INFO": "/a/b.mp4",
        "QUERY_STRING": "x-id=PutObject",
        "CONTENT_LENGTH": "3",
    }
    write = find_write(environ)
    assert write is not None
    assert (write.bucket, write.key) == object_of(environ) == ("videos", "a/b.mp4")


def test_requests_of_other_services_are_no_writes() -> None:
    credential = "Credential=a/20260101/us-east-1/sqs/aws4_request"
    environ = {
        "REQUEST_METHOD": "PUT",
        "HTTP_HOST": "127.0.0.1",
        "PATH_INFO": "/a/b",
        "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=x, Signature=y",
    }
    assert find_write(environ) is None
    assert find_write(environ | {"HTTP_AUTHORIZATION": credential.replace("sqs", "s3")})
