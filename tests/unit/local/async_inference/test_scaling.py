import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.async_inference.scaling import (
    START_ATTEMPTS,
    Instance,
    InstanceState,
    StartRecord,
    decide,
)
from local.async_inference.spec import EndpointSpec

NOW = 1000.0


def spec(least: int = 0, most: int = 4, concurrent: int = 1, idle: float = 60) -> EndpointSpec:
    return EndpointSpec(
        name="endpoint",
        command=["true"],
        environment={},
        output_uri="s3://bucket/output",
        failure_uri="s3://bucket/failure",
        min_instances=least,
        max_instances=most,
        max_concurrent_invocations=concurrent,
        scale_in_after_seconds=idle,
    )


def instance(
    state: InstanceState = InstanceState.IN_SERVICE, busy: int = 0, idle_seconds: float = 0
) -> Instance:
    return Instance(state=state, busy=busy, idle_since=NOW - idle_seconds)


@pytest.mark.parametrize(
    ("queued", "busy", "concurrent", "start"),
    [(0, [], 1, 0), (1, [], 1, 1), (9, [], 1, 4), (3, [1], 1, 3), (3, [1], 4, 0), (5, [4], 4, 2)],
)
def test_requests_bring_instances_up_to_the_maximum(
    queued: int, busy: list[int], concurrent: int, start: int
) -> None:
    decision = decide(spec(concurrent=concurrent), queued, [instance(busy=n) for n in busy], NOW)
    assert decision.start == start
    assert decision.retire == []


def test_starting_instances_count_and_retiring_ones_do_not() -> None:
    starting, retiring = instance(InstanceState.STARTING), instance(InstanceState.RETIRING, busy=1)
    assert decide(spec(), 1, [starting], NOW).start == 0
    assert decide(spec(), 1, [retiring], NOW).start == 1


def test_an_idle_instance_goes_after_its_time_and_the_longest_idle_first() -> None:
    long, longer, recent = (instance(idle_seconds=seconds) for seconds in (60, 90, 10))
    decision = decide(spec(least=1), 0, [long, longer, recent], NOW)
    assert decision.retire == [longer, long]
    assert decision.desired == 1
    assert decision.next_seconds == 50


def test_an_instance_that_will_be_idle_long_enough_sets_the_next_look() -> None:
    decision = decide(spec(), 0, [instance(idle_seconds=20)], NOW)
    assert decision.retire == []
    assert decision.desired == 1
    assert decision.next_seconds == 40


def test_a_needed_idle_instance_stays() -> None:
    assert decide(spec(), 1, [instance(idle_seconds=600)], NOW).retire == []


instances = st.lists(
    st.builds(
        instance,
        st.sampled_from(InstanceState),
        st.integers(0, 3),
        st.floats(0, 200, allow_nan=False),
    ),
    max_size=6,
)


@given(instances, st.integers(0, 20), st.integers(0, 2), st.integers(2, 4), st.integers(1, 3))
def test_decisions_keep_the_limits_and_never_touch_work_in_hand(
    given_instances: list[Instance], queued: int, least: int, most: int, concurrent: int
) -> None:
    decision = decide(spec(least, most, concurrent), queued, given_instances, NOW)
    live = [one for one in given_instances if one.state is not InstanceState.RETIRING]
    left = len(live) + decision.start - len(decision.retire)
    assert left >= least
    assert decision.start == 0 or left <= most
    assert not (decision.start and decision.retire)
    assert all(one.idle and NOW - one.idle_since >= 60 for one in decision.retire)
    assert queued == 0 or left > 0
    assert decision.next_seconds is None or decision.next_seconds > 0


def test_pauses_between_failed_starts_grow_to_a_limit() -> None:
    record = StartRecord()
    pauses = []
    for attempt in range(20):
        assert record.exhausted == (attempt >= START_ATTEMPTS)
        record.failed(NOW)
        pauses.append(record.pause_seconds(NOW))
    assert pauses[:3] == [0.25, 0.5, 1]
    assert pauses[-1] == 30
    assert record.pause_seconds(NOW + 31) == 0


def test_a_new_request_ends_the_pause_but_not_the_count() -> None:
    record = StartRecord()
    for _ in range(START_ATTEMPTS):
        record.failed(NOW)
    record.end_pause()
    assert record.pause_seconds(NOW) == 0
    assert record.exhausted
    record.succeeded()
    assert not record.exhausted
