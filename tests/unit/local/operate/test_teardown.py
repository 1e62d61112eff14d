"""What is left of a stack, and deleting it, on moto."""

from typing import Any

import pytest

from local.operate.stacks import Clients, stack_outputs
from local.operate.teardown import Leftover, delete_data, delete_stack, find_leftovers
from local.operate.templates import ROOT, read_template
from screener.errors import ConfigurationError

STACK = """
Resources:
  MediaBucket: {Type: AWS::S3::Bucket}
  WorkBucket: {Type: AWS::S3::Bucket}
  VideosTable:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: video, AttributeType: S}]
      KeySchema: [{AttributeName: video, KeyType: HASH}]
  DataKey:
    Type: AWS::KMS::Key
    Properties: {KeyPolicy: '{"Version": "2012-10-17", "Statement": []}'}
  Queue: {Type: AWS::SQS::Queue}
Outputs:
  MediaBucketName: {Value: !Ref MediaBucket}
"""


@pytest.fixture
def leftovers(aws: Clients) -> list[Leftover]:
    """Of a stack with the kinds of resources that Screener has, with data in them."""
    aws("cloudformation").create_stack(StackName="screener", TemplateBody=STACK)
    found = find_leftovers(aws("cloudformation"), "screener")
    s3 = aws("s3")
    work = next(one.name for one in found if one.logical_id == "WorkBucket")
    s3.put_bucket_versioning(Bucket=work, VersioningConfiguration={"Status": "Enabled"})
    for number in range(3):
        s3.put_object(Bucket=work, Key="config/policy.yaml", Body=str(number))
    s3.put_object(Bucket=work, Key="observations/v/faces.json", Body=b"{}")
    s3.delete_object(Bucket=work, Key="observations/v/faces.json")
    table = next(one.name for one in found if one.logical_id == "VideosTable")
    aws("dynamodb").update_table(TableName=table, DeletionProtectionEnabled=True)
    return found


def name_of(leftovers: list[Leftover], logical_id: str) -> str:
    return next(one.name for one in leftovers if one.logical_id == logical_id)


def buckets(aws: Clients) -> set[str]:
    return {one["Name"] for one in aws("s3").list_buckets()["Buckets"]}


def test_what_holds_data_is_left_and_has_its_price(leftovers: list[Leftover]) -> None:
    assert {one.logical_id for one in leftovers} == {
        "MediaBucket",
        "WorkBucket",
        "VideosTable",
        "DataKey",
    }
    assert all("USD" in one.cost for one in leftovers)


def test_every_kind_that_the_template_retains_is_looked_for() -> None:
    retained = {
        one["Type"]
        for one in read_template(ROOT / "template.yaml")["Resources"].values()
        if one.get("DeletionPolicy") == "Retain"
    }
    for kind in retained:
        assert Leftover(logical_id="x", kind=kind, name="x").cost


def test_own_data_is_deleted_and_videos_stay(aws: Clients, leftovers: list[Leftover]) -> None:
    media = name_of(leftovers, "MediaBucket")
    aws("s3").put_object(Bucket=media, Key="uploads/a.mp4", Body=b"video")
    said = list(delete_data(aws, leftovers, media))
    assert buckets(aws) == {media}
    assert aws("dynamodb").list_tables()["TableNames"] == []
    # Three versions of the policy; of the observation one, and the marker of its deletion.
    assert [line for line in said if "5 object versions" in line], said


def test_the_key_of_kept_videos_is_kept(aws: Clients, leftovers: list[Leftover]) -> None:
    list(delete_data(aws, leftovers, name_of(leftovers, "MediaBucket")))
    assert key_state(aws, leftovers) == "Enabled"


def test_without_videos_the_key_can_still_be_saved_for_a_month(
    aws: Clients, leftovers: list[Leftover]
) -> None:
    own = [one for one in leftovers if one.logical_id != "MediaBucket"]
    said = list(delete_data(aws, own, "an-existing-bucket"))
    assert key_state(aws, leftovers) == "PendingDeletion"
    assert "30 days" in said[-1]


def key_state(aws: Clients, leftovers: list[Leftover]) -> Any:
    answer = aws("kms").describe_key(KeyId=name_of(leftovers, "DataKey"))
    return answer["KeyMetadata"]["KeyState"]


def test_data_that_is_gone_already_does_not_stop_the_rest(
    aws: Clients, leftovers: list[Leftover]
) -> None:
    table = name_of(leftovers, "VideosTable")
    aws("dynamodb").update_table(TableName=table, DeletionProtectionEnabled=False)
    aws("dynamodb").delete_table(TableName=table)
    media = name_of(leftovers, "MediaBucket")
    assert len(list(delete_data(aws, leftovers, media))) == 4


def test_the_stack_itself_is_deleted(aws: Clients) -> None:
    cloudformation = aws("cloudformation")
    cloudformation.create_stack(
        StackName="screener", TemplateBody="Resources: {Queue: {Type: AWS::SQS::Queue}}"
    )
    delete_stack(cloudformation, "screener")
    with pytest.raises(ConfigurationError, match="no stack 'screener'"):
        stack_outputs(cloudformation, "screener")


def test_outputs_are_read_by_name(aws: Clients, leftovers: list[Leftover]) -> None:
    outputs = stack_outputs(aws("cloudformation"), "screener")
    assert outputs == {"MediaBucketName": name_of(leftovers, "MediaBucket")}
