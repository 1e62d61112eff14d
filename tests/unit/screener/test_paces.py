import math

import pytest
from botocore.stub import Stubber

from screener.messages import ExtractedRange
from screener.observations import Analyzer
from screener.paces import ITEM_KEY, REMEMBERED, Measurement, recall, remember, units_of
from screener.settings import DeployedAnalyzer
from tests.aws_stand_in import TABLE, stand_in

GPU = DeployedAnalyzer(endpoint="e", packs="s3://p/faces/d1", instance_type="ml.g4dn.xlarge")
DEPLOYED = dict.fromkeys(Analyzer, GPU)


@pytest.fixture
def dynamodb():
    with stand_in() as account:
        yield account.dynamodb


def faces(*seconds, units=600):
    return [Measurement(Analyzer.FACES, units, 1_000 * one) for one in seconds]


def expected(dynamodb, units=600, deployed=GPU, analyzer=Analyzer.FACES):
    return recall(dynamodb, TABLE).expected_seconds(analyzer, deployed, units)


def test_nothing_is_expected_of_what_was_never_seen(dynamodb):
    assert expected(dynamodb) == 0


def test_what_a_request_took_is_expected_of_the_next_of_its_size(dynamodb):
    remember(dynamodb, TABLE, faces(45), DEPLOYED)
    assert expected(dynamodb) == pytest.approx(45)
    assert expected(dynamodb, units=900) == pytest.approx(67.5)


def test_a_short_clip_says_nothing_about_a_long_video_nor_one_analyzer_about_another(dynamodb):
    remember(dynamodb, TABLE, faces(2, units=10), DEPLOYED)
    assert expected(dynamodb) == 0
    assert expected(dynamodb, units=10, analyzer=Analyzer.OBJECTS) == 0


def test_analyzers_and_sizes_are_remembered_side_by_side(dynamodb):
    remember(dynamodb, TABLE, [*faces(45), *faces(2, units=10)], DEPLOYED)
    remember(dynamodb, TABLE, [Measurement(Analyzer.OBJECTS, 600, 26_000)], DEPLOYED)
    assert expected(dynamodb) == pytest.approx(45)
    assert expected(dynamodb, units=10) == pytest.approx(2)
    assert expected(dynamodb, analyzer=Analyzer.OBJECTS) == pytest.approx(26)


@pytest.mark.parametrize(
    "change", [{"packs": "s3://p/faces/d2"}, {"instance_type": "ml.g5.xlarge"}]
)
def test_other_weights_and_other_instances_begin_anew(dynamodb, change):
    remember(dynamodb, TABLE, faces(45), DEPLOYED)
    other = GPU.model_copy(update=change)
    assert expected(dynamodb, deployed=other) == 0
    remember(dynamodb, TABLE, faces(20), DEPLOYED | {Analyzer.FACES: other})
    assert expected(dynamodb, deployed=other) == pytest.approx(20)


def test_one_slow_request_does_not_make_the_next_result_lie(dynamodb):
    remember(dynamodb, TABLE, faces(90), DEPLOYED)
    remember(dynamodb, TABLE, faces(45), DEPLOYED)
    assert expected(dynamodb) == pytest.approx(45)


def test_a_server_that_became_slower_is_believed_in_the_end(dynamodb):
    for _ in range(3):
        remember(dynamodb, TABLE, faces(45), DEPLOYED)
    for _ in range(REMEMBERED):
        remember(dynamodb, TABLE, faces(60), DEPLOYED)
    assert expected(dynamodb) == pytest.approx(60)


@pytest.mark.parametrize("milliseconds", [0.0, -5.0, math.nan, math.inf, 1e300])
def test_nonsense_from_a_server_is_not_remembered(dynamodb, milliseconds):
    remember(dynamodb, TABLE, [Measurement(Analyzer.FACES, 600, milliseconds)], DEPLOYED)
    remember(dynamodb, TABLE, [Measurement(Analyzer.FACES, 0, 5.0)], DEPLOYED)
    assert "Item" not in dynamodb.get_item(TableName=TABLE, Key={"video": {"S": ITEM_KEY}})


@pytest.mark.parametrize(
    "value", [{"S": "{"}, {"S": '{"served_by": "x", "ms_per_unit": [-1]}'}, {"N": "1"}]
)
def test_what_cannot_be_read_is_as_if_it_were_not_there(dynamodb, value):
    item = {"video": {"S": ITEM_KEY}, "faces:10": value}
    dynamodb.put_item(TableName=TABLE, Item=item)
    assert expected(dynamodb) == 0
    remember(dynamodb, TABLE, faces(45), DEPLOYED)
    assert expected(dynamodb) == pytest.approx(45)


def test_a_table_that_refuses_fails_nothing(dynamodb):
    with Stubber(dynamodb) as refusing:
        for operation in ("get_item", "get_item", "update_item"):
            refusing.add_client_error(operation, "AccessDeniedException")
        assert recall(dynamodb, TABLE).expected_seconds(Analyzer.FACES, GPU, 600) == 0
        remember(dynamodb, TABLE, faces(45), DEPLOYED)
        refusing.assert_no_pending_responses()


def test_units_are_frames_and_begun_seconds_of_sound():
    media = ExtractedRange(
        chunk=0,
        frames_key="f",
        frame_count=600,
        audio_key="a",
        audio_skipped=None,
        audio_duration_ms=9_001,
    )
    assert units_of(Analyzer.OBJECTS, media) == 600
    assert units_of(Analyzer.TRANSCRIPTION, media) == 10
