"""The whole stack at one volume: uploads go in, latencies and a bill come out."""

import random
from collections.abc import Callable
from statistics import quantiles

import simpy

from bench.simulation import arrivals
from bench.simulation.assumptions import Assumptions
from bench.simulation.endpoint import Endpoint, Step
from screener.model import Message
from screener.observations import Analyzer
from screener.polling import GROWTH, first_wait_seconds, next_wait_seconds

_DRAIN_SECONDS = arrivals.SECONDS_PER_DAY


class EndpointUse(Message):
    """What one endpoint did in a run."""

    cost_usd: float
    utilisation: float
    """Busy share of the billed time."""
    cold_starts: int
    most_instances: int
    interrupted: int
    """Requests whose instance was removed while it worked on them."""


class Outcome(Message):
    """One run at one volume."""

    videos_per_day: int
    videos: int
    p50_seconds: float
    p95_seconds: float
    """From upload to document."""
    usd_per_video: float
    endpoints_usd_per_video: float
    orchestration_usd_per_video: float
    transitions_per_video: float
    most_running: int
    """Executions at the same time."""
    endpoints: dict[Analyzer, EndpointUse]


def polls_until(ready_after_seconds: float, expected_seconds: float = 0.0) -> tuple[int, float]:
    """Polls made, and seconds after the start, when CollectResult notices a result.

    Uses the waits of the deployed functions themselves.
    """
    elapsed, polls = float(first_wait_seconds(expected_seconds)), 1
    while elapsed < ready_after_seconds:
        elapsed += next_wait_seconds(elapsed, expected_seconds, GROWTH)
        polls += 1
    return polls, elapsed


class Stack:
    """Four endpoints and the executions that use them.

    Args:
        assumptions: every number.
        videos_per_day: the volume; must be one that the assumptions give bounds for.
        warm_instances: instances of each endpoint in service at the start, if more than the
            scaling's minimum.
    """

    def __init__(
        self, assumptions: Assumptions, videos_per_day: int, warm_instances: int = 0
    ) -> None:
        self._assumptions = assumptions
        self._volume = videos_per_day
        self._chance = random.Random(f"{assumptions.seed}-{videos_per_day}")  # noqa: S311 - no secret
        self._environment = simpy.Environment()
        self._slots = simpy.Resource(
            self._environment, assumptions.steps.max_running_executions[videos_per_day]
        )
        self._endpoints = {
            analyzer: Endpoint(
                self._environment,
                model,
                assumptions,
                assumptions.scaling.max_instances[videos_per_day],
                self._chance,
                max(warm_instances, assumptions.scaling.min_instances),
            )
            for analyzer, model in assumptions.endpoints.items()
        }
        self._latencies: list[float] = []
        self._polls = 0
        self._most_running = 0

    def run(self) -> Outcome:
        """Simulate the volume's days of uploads and wait for the last video."""
        days = self._assumptions.simulated_days[self._volume]
        times = arrivals.upload_times(
            self._volume, self._assumptions.hourly_weights, days, self._chance
        )
        return self.run_uploads(list(times), until=days * arrivals.SECONDS_PER_DAY)

    def run_uploads(self, upload_times: list[float], until: float) -> Outcome:
        """Simulate uploads at given times (seconds); endpoints are billed at least `until` then.

        Raises:
            RuntimeError: a video had no document one day after the last upload.
        """
        self._environment.process(self._upload(upload_times))
        self._environment.run(until=max(until, upload_times[-1] + 1))
        deadline = self._environment.now + _DRAIN_SECONDS
        while len(self._latencies) < len(upload_times):
            if self._environment.now > deadline:
                lost = len(upload_times) - len(self._latencies)
                raise RuntimeError(f"{lost} videos have no document a day after the last upload")
            self._environment.run(until=self._environment.now + 60)
        for endpoint in self._endpoints.values():
            endpoint.close()
        return self._outcome()

    def _upload(self, times: list[float]) -> Step:
        for time in times:
            yield self._environment.timeout(time - self._environment.now)
            self._environment.process(self._screen())

    def _screen(self) -> Step:
        steps, environment = self._assumptions.steps, self._environment
        uploaded = environment.now
        yield environment.timeout(steps.intake_seconds)
        with self._slots.request() as slot:
            yield slot
            self._most_running = max(self._most_running, self._slots.count)
            yield environment.timeout(steps.validate_seconds + steps.extract_seconds)
            yield environment.all_of(
                [environment.process(self._analyse(analyzer)) for analyzer in self._endpoints]
            )
            yield environment.timeout(steps.aggregate_seconds)
        self._latencies.append(environment.now - uploaded)

    def _analyse(self, analyzer: Analyzer) -> Step:
        model = self._assumptions.endpoints[analyzer]
        started = self._environment.now
        served = model.request_seconds(self._assumptions.video)
        yield self._endpoints[analyzer].submit(served)
        ready = self._environment.now - started
        # Every video is like the last one here, so what the stack remembers is right.
        polls, noticed = polls_until(ready, expected_seconds=served)
        self._polls += polls
        yield self._environment.timeout(noticed - ready)

    def _outcome(self) -> Outcome:
        videos = len(self._latencies)
        endpoints_usd = sum(endpoint.cost_usd for endpoint in self._endpoints.values()) / videos
        polls = self._polls / videos
        orchestration_usd = orchestration_usd_per_video(self._assumptions, polls)
        percentile = _percentiles(self._latencies)
        return Outcome(
            videos_per_day=self._volume,
            videos=videos,
            p50_seconds=percentile(50),
            p95_seconds=percentile(95),
            usd_per_video=endpoints_usd + orchestration_usd,
            endpoints_usd_per_video=endpoints_usd,
            orchestration_usd_per_video=orchestration_usd,
            transitions_per_video=transitions_per_video(self._assumptions, polls),
            most_running=self._most_running,
            endpoints={
                analyzer: EndpointUse(
                    cost_usd=endpoint.cost_usd,
                    utilisation=endpoint.busy_seconds / max(1.0, endpoint.billed_seconds),
                    cold_starts=endpoint.cold_starts,
                    most_instances=endpoint.most_instances,
                    interrupted=endpoint.interrupted,
                )
                for analyzer, endpoint in self._endpoints.items()
            },
        )


def transitions_per_video(assumptions: Assumptions, polls: float) -> float:
    """State transitions of one execution; `polls` counts all its items together."""
    use = assumptions.orchestration
    requests = len(assumptions.endpoints)
    return (
        use.transitions_per_video
        + requests * use.transitions_per_request
        + polls * use.transitions_per_poll
    )


def orchestration_usd_per_video(assumptions: Assumptions, polls: float) -> float:
    """Step Functions, Lambda and S3 requests; storage and transfer inside a region left out."""
    use, prices, steps = assumptions.orchestration, assumptions.prices_usd, assumptions.steps
    # Plan and start take about as long as a poll each.
    small_seconds = (
        steps.validate_seconds + steps.aggregate_seconds + (polls + 2) * use.collect_seconds
    )
    gb_seconds = steps.extract_seconds * use.extract_memory_gb + small_seconds * use.other_memory_gb
    lambda_requests = polls + 5  # start, validate, extract, plan, aggregate
    # A poll is two GETs at most: output, then failure.
    return (
        transitions_per_video(assumptions, polls) * prices.state_transition
        + gb_seconds * prices.lambda_gb_second
        + lambda_requests * prices.lambda_request
        + use.s3_puts_per_video * prices.s3_put
        + (use.s3_gets_per_video + 2 * polls) * prices.s3_get
    )


def _percentiles(values: list[float]) -> Callable[[int], float]:
    if len(values) == 1:
        return lambda _: values[0]
    cuts = quantiles(values, n=100, method="inclusive")
    return lambda percent: cuts[percent - 1]
