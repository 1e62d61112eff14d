import json

from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from screener.causes import CAUSE_BYTES, RAISED_BYTES, shortened, shortened_error


def test_a_short_cause_is_left_as_it_is():
    for cause in ("", "out of memory", "x" * CAUSE_BYTES, "\N{COLLISION SYMBOL}\x00"):
        assert shortened(cause) == cause


@given(st.text(), st.integers(10, 60), st.integers(1, 100))
def test_a_cause_of_any_characters_keeps_its_beginning_and_fits_in_any_json(text, limit, times):
    cause = text * times
    cut = shortened(cause, limit)
    for ascii_only in (True, False):
        written = json.dumps(cut, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        assert len(written) - 2 <= limit
    assert cut == cause or (cut.endswith(" …") and cause.startswith(cut.removesuffix(" …")))


def test_a_long_cause_keeps_as_much_as_fits():
    assert len(shortened("x" * 5_000)) > CAUSE_BYTES - 10
    assert len(shortened("\N{COLLISION SYMBOL}" * 5_000)) > CAUSE_BYTES / 12 - 10


def test_an_error_keeps_its_name_and_the_beginning_of_its_message():
    refused = ClientError(
        {"Error": {"Code": "AccessDenied", "Message": "no " * 2_000}}, "PutObject"
    )
    short = shortened_error(refused)
    assert type(short).__name__ == "ClientError"
    assert "AccessDenied" in str(short)
    assert len(str(short)) <= RAISED_BYTES
