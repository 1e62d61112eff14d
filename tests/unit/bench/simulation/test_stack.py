"""The simulation against cases worked out by hand and against queueing theory."""

import random

import pytest
import simpy

from bench.simulation import assumptions
from bench.simulation.assumptions import Assumptions, ColdStart, EndpointModel
from bench.simulation.endpoint import Endpoint, Step
from bench.simulation.stack import Stack, orchestration_usd_per_video, polls_until
from screener.observations import Analyzer

SHIPPED = assumptions.load()
FORTY_SECONDS = EndpointModel(
    instance_type="ml.g4dn.xlarge",
    usd_per_hour=3.6,
    unit="frame",
    seconds_per_unit=0.05,
    overhead_seconds=10.0,
)


def one_endpoint(**changes: object) -> Assumptions:
    """One endpoint of 40 s per video at $0.001 per second, cold starts of exactly 300 s."""
    scaling = SHIPPED.scaling.model_copy(update=changes)
    return SHIPPED.model_copy(
        update={
            "endpoints": {Analyzer.MODERATION: FORTY_SECONDS},
            "cold_start": ColdStart(median_seconds=300, p95_seconds=300),
            "scaling": scaling,
        }
    )


def test_request_time_is_overhead_plus_frames() -> None:
    assert FORTY_SECONDS.request_seconds(SHIPPED.video) == pytest.approx(10 + 600 * 0.05)


def test_polls_follow_the_waits_of_the_deployed_function() -> None:
    # 1, +1, +1, +1, +2, +3, +4, then +5: looks at 1, 2, 3, 4, 6, 9, 13, 18, 23, 28, 33, 38, 43 s.
    assert polls_until(0.4) == (1, 1.0)
    assert polls_until(10.0) == (7, 13.0)
    assert polls_until(40.0) == (13, 43.0)
    # Expected after 40 s: looks at 42, then 46, 50, 55, 60, 66 s.
    assert polls_until(40.0, expected_seconds=40.0) == (1, 42.0)
    assert polls_until(50.5, expected_seconds=40.0) == (4, 55.0)


def test_one_video_on_a_sleeping_endpoint_costs_and_takes_what_was_computed_by_hand() -> None:
    # 0      upload; 2 s intake, 1.5 s validation, 25 s extraction: request queued at 28.5
    # 60     data point: backlog, no capacity; visible at 120: one instance is asked for
    # 420    in service after 300 s; the request ends at 460, 431.5 s after it was queued
    # 455    ... is when poll 27 looks (42, 46, 50, 55, 60, 66, 72 ... 377, 414, 455), so noticed
    #        at 483.5; the document is there 1.5 s later: 485
    # 540    first data point of a minute without work, 1080 the tenth, visible at 1140: removed
    # billed from 120 to 1140: 1020 s at $0.001
    outcome = Stack(one_endpoint(), 10).run_uploads([0.0], until=3_600)
    assert outcome.p50_seconds == pytest.approx(485.0)
    assert outcome.endpoints_usd_per_video == pytest.approx(1.02)
    assert outcome.transitions_per_video == 8 + 2 + 3 * 27
    use = outcome.endpoints[Analyzer.MODERATION]
    assert use.cold_starts == use.most_instances == 1
    assert use.utilisation == pytest.approx(40 / 1020)
    assert use.interrupted == 0


def test_one_video_on_a_warm_endpoint_waits_for_nothing() -> None:
    # 28.5 queued, ready 40 s later, noticed 42 s later, 1.5 s for the document.
    outcome = Stack(one_endpoint(min_instances=1), 10).run_uploads([0.0], until=3_600)
    assert outcome.p50_seconds == pytest.approx(72.0)
    assert outcome.endpoints_usd_per_video == pytest.approx(3.6)
    assert outcome.endpoints[Analyzer.MODERATION].cold_starts == 0


def test_two_videos_at_once_share_one_instance_in_order() -> None:
    # The second is ready after 80 s; polls look at ... 66, 72, 79, 86 s.
    outcome = Stack(one_endpoint(min_instances=1), 10).run_uploads([0.0, 0.0], until=3_600)
    assert outcome.p50_seconds == pytest.approx((72.0 + 28.5 + 86 + 1.5) / 2)


def test_no_more_executions_run_than_may() -> None:
    numbers = one_endpoint(min_instances=1)
    steps = numbers.steps.model_copy(update={"max_running_executions": {10: 1}})
    outcome = Stack(numbers.model_copy(update={"steps": steps}), 10).run_uploads(
        [0.0, 0.0], until=3_600
    )
    assert outcome.most_running == 1
    # The second starts when the first ends at 72 s, without another 2 s of intake.
    assert outcome.p50_seconds == pytest.approx((72 + 72 + 70) / 2)


def test_waiting_time_agrees_with_queueing_theory() -> None:
    """M/D/1: mean wait = load x service / (2 (1 - load))."""
    service, load = 30.0, 0.7
    environment = simpy.Environment()
    numbers = one_endpoint(min_instances=1, max_instances={10: 1})
    endpoint = Endpoint(environment, FORTY_SECONDS, numbers, 1, random.Random(1), instances=1)
    waits: list[float] = []

    def request() -> Step:
        start = environment.now
        yield endpoint.submit(service)
        waits.append(environment.now - start - service)

    def arrivals() -> Step:
        chance = random.Random(7)
        while True:
            yield environment.timeout(chance.expovariate(load / service))
            environment.process(request())

    environment.process(arrivals())
    environment.run(until=2_000_000)
    assert len(waits) > 45_000
    expected = load * service / (2 * (1 - load))
    assert sum(waits) / len(waits) == pytest.approx(expected, rel=0.05)


def test_a_request_whose_instance_is_removed_is_counted_and_served_again() -> None:
    numbers = one_endpoint(shrink_periods=1, scale_in_cooldown_seconds=100_000)
    environment = simpy.Environment()
    endpoint = Endpoint(
        environment,
        FORTY_SECONDS,
        numbers.with_backlog_of_queued_only(),
        1,
        random.Random(1),
        instances=1,
    )
    done = endpoint.submit(700.0)
    environment.run(done)
    # Minute 2 shows no queue; seen at 180, the only instance is removed although it works. The
    # request is back in the queue at 240, seen at 300; a new instance serves it from 600.
    assert endpoint.interrupted == 1
    assert environment.now == pytest.approx(1_300)


def test_videos_that_never_end_are_an_error_and_not_a_figure() -> None:
    forever = FORTY_SECONDS.model_copy(update={"overhead_seconds": 1e9})
    numbers = one_endpoint().model_copy(update={"endpoints": {Analyzer.MODERATION: forever}})
    with pytest.raises(RuntimeError, match="1 videos have no document"):
        Stack(numbers, 10).run_uploads([0.0], until=60)


def test_orchestration_cost_of_ten_polls_is_the_sum_of_its_parts() -> None:
    transitions = 8 + 4 * 2 + 3 * 10
    gigabyte_seconds = 25 * 10 + (1.5 + 1.5 + 12 * 0.3) * 0.5
    expected = (
        transitions * 0.000025
        + gigabyte_seconds * 0.0000133334
        + 15 * 0.0000002
        + 16 * 0.000005
        + 46 * 0.0000004
    )
    assert orchestration_usd_per_video(SHIPPED, 10) == pytest.approx(expected)


def test_the_same_seed_gives_the_same_figures() -> None:
    short = SHIPPED.model_copy(update={"simulated_days": {100: 1}})
    first, second = (Stack(short, 100).run() for _ in range(2))
    assert first == second
