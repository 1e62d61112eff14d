import gc

import pytest

from screener import collector


@pytest.fixture(autouse=True)
def collector_on():
    gc.enable()
    yield
    gc.enable()


def test_no_collection_happens_inside_and_the_next_one_after():
    with collector.paused():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_an_error_does_not_leave_it_paused():
    with pytest.raises(KeyError), collector.paused():
        raise KeyError
    assert gc.isenabled()


def test_a_pause_within_a_pause_does_not_end_it():
    with collector.paused():
        with collector.paused():
            pass
        assert not gc.isenabled()


def test_every_call_of_a_decorated_function_is_a_pause():
    seen = collector.paused()(gc.isenabled)
    assert [seen(), seen()] == [False, False]
    assert gc.isenabled()
