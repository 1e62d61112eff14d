import pickle

import pytest

from screener.errors import InvalidVideo, RefusalCode


def test_a_refusal_survives_as_its_message():
    refusal = InvalidVideo(RefusalCode.TRUNCATED, 'ends "early" at 40 %')
    rebuilt = InvalidVideo.from_message(str(refusal))
    assert (rebuilt.code, rebuilt.detail) == (refusal.code, refusal.detail)


def test_a_refusal_survives_the_way_out_of_a_child_process():
    refusal = pickle.loads(pickle.dumps(InvalidVideo(RefusalCode.TOO_LONG, "7 h")))  # noqa: S301
    assert (refusal.code, refusal.detail) == (RefusalCode.TOO_LONG, "7 h")


@pytest.mark.parametrize("message", ["", "boom", "{}", '{"code": "nonsense", "detail": ""}', "[1]"])
def test_another_message_is_not_taken_for_a_refusal(message):
    with pytest.raises(ValueError):  # noqa: PT011 - json and enum raise their own kinds
        InvalidVideo.from_message(message)
