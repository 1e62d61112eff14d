import importlib
import json

import pytest
from aws_lambda_powertools.metrics.provider.cold_start import reset_cold_start_flag

from functions.aggregate_results import handler as aggregate_results
from functions.reject_video import handler as reject_video
from screener import aws as clients
from screener import settings
from screener.messages import CaughtError, RejectedState, Rejection, ScreeningRequest
from screener.observations import Analyzer
from tests.aws_stand_in import BUS, MEDIA_BUCKET, TABLE, WORK_BUCKET, stand_in
from tests.unit.functions.aggregate_results.test_aggregate import store, task
from tests.unit.functions.example_messages import CONTEXT


@pytest.fixture
def account(monkeypatch):
    analyzers = {name.value: {"instance_type": "local"} for name in Analyzer}
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "WORK_BUCKET": WORK_BUCKET,
        "TABLE_NAME": TABLE,
        "EVENT_BUS_NAME": BUS,
        "ANALYZERS": json.dumps(analyzers),
        "POWERTOOLS_SERVICE_NAME": "screener",
        "POWERTOOLS_METRICS_NAMESPACE": "Screener",
    }.items():
        monkeypatch.setenv(name, value)
    made = (clients.s3, clients.dynamodb, clients.events, settings._load)
    for make in made:
        make.cache_clear()
    reset_cold_start_flag()
    # Powertools reads its settings when a handler is imported, as a Lambda does once.
    for handler in (aggregate_results, reject_video):
        importlib.reload(handler)
    with stand_in() as opened:
        yield opened
    for make in made:
        make.cache_clear()


def metrics(output):
    """The metrics of the one line in CloudWatch's embedded format."""
    lines = [json.loads(line) for line in output.splitlines() if '"_aws"' in line]
    (line,) = lines
    return {name: line[name][0] for name in line if name.startswith("Videos")}


def test_aggregate_results_answers_with_a_summary_and_counts_the_video(account, capsys):
    store(account)
    answer = aggregate_results.lambda_handler(task().model_dump(mode="json"), CONTEXT)
    assert answer["document"] == f"s3://{MEDIA_BUCKET}/uploads/a.moderation.json"
    assert answer["decision"] == "review"
    assert metrics(capsys.readouterr().out) == {
        "VideosScreened": 1.0,
        "VideosInvalid": 0.0,
        "VideosPartial": 0.0,
        "VideosFlagged": 0.0,
        "VideosForReview": 1.0,
    }


def test_reject_video_answers_with_a_summary_and_counts_the_refusal(account, capsys):
    cause = json.dumps({"errorMessage": json.dumps({"code": "empty_file", "detail": "no bytes"})})
    rejection = Rejection(
        request=ScreeningRequest(bucket=MEDIA_BUCKET, key="uploads/b.mp4"),
        execution_arn="arn:aws:states:us-east-1:123456789012:execution:screening:two",
        state=RejectedState(error=CaughtError(Error="InvalidVideo", Cause=cause)),
    )
    answer = reject_video.lambda_handler(rejection.model_dump(mode="json"), CONTEXT)
    assert (answer["status"], answer["redrivable"]) == ("invalid", False)
    assert metrics(capsys.readouterr().out)["VideosInvalid"] == 1.0
    reasons = account.document("uploads/b.moderation.json")["verdict"]["reasons"]
    assert reasons[0]["code"] == "empty_file"
