import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.async_inference.errors import ValidationError
from local.async_inference.request import (
    ACCEPT,
    CONTENT_TYPE,
    CUSTOM_ATTRIBUTES,
    INFERENCE_ID,
    INPUT_LOCATION,
    INVOCATION_TIMEOUT,
    REQUEST_TTL,
    AsyncRequest,
    parse_request,
)
from screener.storage import S3Location

GOOD = {INPUT_LOCATION: "s3://bucket/media/frames.tar"}


def parsed(headers: dict[str, str]) -> AsyncRequest:
    return parse_request(headers, "s3://work/async/output/", "s3://work/async/failure")


def test_defaults_are_those_of_the_service() -> None:
    request = parsed(GOOD)
    assert request.ttl_seconds == 21_600
    assert request.invocation_timeout_seconds == 900
    assert request.content_type is None
    assert len(request.inference_id) == 36


def test_every_request_gets_its_own_result_locations() -> None:
    first, second = parsed(GOOD), parsed(GOOD)
    assert first.output_location.uri.startswith("s3://work/async/output/")
    assert first.output_location.uri.endswith(".out")
    assert "//" not in first.output_location.key
    assert first.failure_location.uri.startswith("s3://work/async/failure/")
    assert first.failure_location.uri.endswith("-error.out")
    assert first.output_location != second.output_location


def test_headers_are_read_in_any_case() -> None:
    request = parsed(
        {
            INPUT_LOCATION.upper(): "s3://bucket/a b/ü.tar".replace("ü", "u"),
            CONTENT_TYPE.lower(): "application/x-tar",
            ACCEPT: "application/json",
            CUSTOM_ATTRIBUTES: '{"video_id":"x"}',
            INFERENCE_ID: "i" * 64,
            REQUEST_TTL: "60",
            INVOCATION_TIMEOUT: "3600",
        }
    )
    assert request.input_location == S3Location("bucket", "a b/u.tar")
    assert request.content_type == "application/x-tar"
    assert request.accept == "application/json"
    assert request.custom_attributes == '{"video_id":"x"}'
    assert request.inference_id == "i" * 64
    assert request.ttl_seconds == 60
    assert request.invocation_timeout_seconds == 3600


@pytest.mark.parametrize(
    ("header", "value", "reason"),
    [
        (INPUT_LOCATION, "", "is missing"),
        (INPUT_LOCATION, "https://bucket.s3.amazonaws.com/key", "not an S3 URI"),
        (INPUT_LOCATION, "s3://bucket", "not an S3 URI"),
        (INPUT_LOCATION, "s3:///key", "not an S3 URI"),
        (INPUT_LOCATION, "file:///etc/passwd", "not an S3 URI"),
        (INPUT_LOCATION, "s3://bucket/" + "k" * 1013, "1025 characters; at most 1024"),
        (INPUT_LOCATION, "s3://bucket/grüße.tar", "printable ASCII"),
        (INFERENCE_ID, "i" * 65, "65 characters; at most 64"),
        (CUSTOM_ATTRIBUTES, "a" * 1025, "1025 characters; at most 1024"),
        (CUSTOM_ATTRIBUTES, "a\r\nX-Injected: 1", "printable ASCII"),
        (CUSTOM_ATTRIBUTES, "名", "printable ASCII"),
        (ACCEPT, "a" * 1025, "at most 1024"),
        (CONTENT_TYPE, "text/plain\x00", "printable ASCII"),
        (REQUEST_TTL, "59", "from 60 to 21600"),
        (REQUEST_TTL, "21601", "from 60 to 21600"),
        (INVOCATION_TIMEOUT, "0", "from 1 to 3600"),
        (INVOCATION_TIMEOUT, "3601", "from 1 to 3600"),
        (INVOCATION_TIMEOUT, "1.5", "whole number"),
        (INVOCATION_TIMEOUT, "-1", "whole number"),
        (INVOCATION_TIMEOUT, "٣", "whole number"),
        (INVOCATION_TIMEOUT, "", "whole number"),
        (INVOCATION_TIMEOUT, "9" * 5000, "whole number"),
        ("X-Amzn-SageMaker-Filename", "a", "not supported"),
        ("X-Amzn-SageMaker-S3OutputPathExtension", "a", "not supported"),
    ],
)
def test_a_wrong_header_is_named_with_the_reason(header: str, value: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason) as caught:
        parsed(GOOD | {header: value})
    assert header in str(caught.value)


@given(
    st.dictionaries(
        st.sampled_from(
            [INPUT_LOCATION, INFERENCE_ID, CUSTOM_ATTRIBUTES, REQUEST_TTL, INVOCATION_TIMEOUT]
        ),
        st.text(max_size=100),
    )
)
def test_any_headers_give_a_request_or_a_refusal(headers: dict[str, str]) -> None:
    try:
        request = parsed(headers)
    except ValidationError:
        return
    assert 60 <= request.ttl_seconds <= 21_600
    assert 1 <= request.invocation_timeout_seconds <= 3600
    assert request.inference_id.isascii()
