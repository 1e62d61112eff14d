import importlib

import pytest
from moto import mock_aws

from functions.collect_result import handler
from screener import aws as clients
from screener import settings
from tests.unit.functions.collect_result.test_collect import task
from tests.unit.functions.example_messages import CONTEXT


@pytest.fixture
def no_buckets(monkeypatch):
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "WORK_BUCKET": "work",
        "POWERTOOLS_SERVICE_NAME": "screener",
    }.items():
        monkeypatch.setenv(name, value)
    for made in (clients.s3, settings._load):
        made.cache_clear()
    importlib.reload(handler)
    with mock_aws():
        yield
    for made in (clients.s3, settings._load):
        made.cache_clear()


def test_an_error_ends_the_call_under_its_own_name_and_is_whole_in_the_log(no_buckets, caplog):
    with pytest.raises(Exception, match="NoSuchBucket") as failure:
        handler.lambda_handler(task().model_dump(mode="json"), CONTEXT)
    assert failure.type.__name__ == "NoSuchBucket"
    # What Lambda reports: the trace of the handler, not that of the libraries below.
    assert not any("botocore" in str(entry.path) for entry in failure.traceback)
    (logged,) = (record for record in caplog.records if record.message == "not collected")
    assert logged.exc_info is not None
    assert logged.exc_info[0].__module__ == "botocore.errorfactory"
