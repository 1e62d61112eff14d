"""One asynchronous endpoint: a queue, instances that come and go, and their bill."""

import itertools
import random
from collections.abc import Generator
from typing import Any, NamedTuple

import simpy

from bench.simulation.assumptions import Assumptions, EndpointModel
from bench.simulation.scaling import Autoscaler, Datapoint

Step = Generator[simpy.Event, Any, None]


class Request(NamedTuple):
    order: int
    """Unique, so that comparing two requests never looks further."""
    seconds: float
    done: simpy.Event


class _Instance:
    """A machine from the decision to add it until it is removed."""

    def __init__(self, asked_at: float) -> None:
        self.asked_at = asked_at
        self.in_service_at: float | None = None
        self.process: simpy.Process | None = None


class Endpoint:
    """Serves requests in order, one per instance at a time, and scales itself.

    Args:
        environment: simulated time in seconds.
        model: request time and price.
        assumptions: metrics, cold starts, policies.
        max_instances: upper bound of the scalable target.
        chance: source of cold-start times and of which instance goes first.
        instances: in service from the beginning.
    """

    def __init__(
        self,
        environment: simpy.Environment,
        model: EndpointModel,
        assumptions: Assumptions,
        max_instances: int,
        chance: random.Random,
        instances: int = 0,
    ) -> None:
        self._environment = environment
        self._model = model
        self._assumptions = assumptions
        self._chance = chance
        self._autoscaler = Autoscaler(
            assumptions.scaling, assumptions.target_tracking, max_instances
        )
        # By order of arrival, so that a request given back is the next one served.
        self._queue = simpy.PriorityStore(environment)
        self._order = itertools.count()
        self._instances: list[_Instance] = []
        self._starting = 0
        self._unfinished = 0
        self._in_flight = 0
        self._peak_backlog = 0
        self.billed_seconds = 0.0
        self.busy_seconds = 0.0
        self.interrupted = 0
        """Requests whose instance was removed while it worked; they are served again."""
        self.cold_starts = 0
        self.most_instances = instances
        for _ in range(instances):
            self._enter_service(_Instance(environment.now))
        environment.process(self._publish_metrics())

    def submit(self, seconds: float) -> simpy.Event:
        """Queue a request; the event fires when its output is written."""
        request = Request(next(self._order), seconds, self._environment.event())
        self._queue.put(request)
        self._unfinished += 1
        self._peak_backlog = max(self._peak_backlog, self._backlog)
        return request.done

    def close(self) -> None:
        """Bill what is still running."""
        for instance in self._instances:
            self._bill(instance)
        self._instances = []

    @property
    def cost_usd(self) -> float:
        return self.billed_seconds / 3_600 * self._model.usd_per_hour

    @property
    def _backlog(self) -> int:
        if self._assumptions.metrics.backlog_counts_in_flight:
            return self._unfinished
        return self._unfinished - self._in_flight

    def _publish_metrics(self) -> Step:
        metrics = self._assumptions.metrics
        while True:
            yield self._environment.timeout(metrics.period_seconds)
            backlog = self._backlog
            point = Datapoint(backlog, max(backlog, self._peak_backlog), len(self._instances))
            self._peak_backlog = backlog
            self._environment.process(self._react(point, metrics.delay_seconds))

    def _react(self, point: Datapoint, delay_seconds: float) -> Step:
        yield self._environment.timeout(delay_seconds)
        # Capacity may have changed since the metric was taken; the policy acts on today's.
        current = point._replace(instances=len(self._instances))
        desired = self._autoscaler.decide(self._environment.now, current, busy=self._starting > 0)
        for _ in range(desired - current.instances):
            self._environment.process(self._start())
        for _ in range(current.instances - desired):
            self._remove()

    def _start(self) -> Step:
        instance = _Instance(self._environment.now)
        self._starting += 1
        self.cold_starts += 1
        yield self._environment.timeout(self._assumptions.cold_start.draw(self._chance))
        self._starting -= 1
        self._enter_service(instance)

    def _enter_service(self, instance: _Instance) -> None:
        instance.in_service_at = self._environment.now
        self._instances.append(instance)
        self.most_instances = max(self.most_instances, len(self._instances))
        instance.process = self._environment.process(self._serve())

    def _serve(self) -> Step:
        while True:
            get = self._queue.get()
            try:
                request: Request = yield get
            except simpy.Interrupt:
                get.cancel()
                if get.triggered and get.value is not None:  # handed over in this very instant
                    self._give_back(get.value)
                return
            started = self._environment.now
            self._in_flight += 1
            try:
                yield self._environment.timeout(request.seconds)
            except simpy.Interrupt:
                self._give_back(request)
                return
            finally:
                self._in_flight -= 1
            self.busy_seconds += self._environment.now - started
            self._unfinished -= 1
            request.done.succeed()

    def _give_back(self, request: Request) -> None:
        self.interrupted += 1
        self._queue.put(request)

    def _remove(self) -> None:
        # AWS does not promise that idle instances go first.
        instance = self._instances.pop(self._chance.randrange(len(self._instances)))
        self._bill(instance)
        assert instance.process is not None
        instance.process.interrupt()

    def _bill(self, instance: _Instance) -> None:
        assert instance.in_service_at is not None
        start = instance.in_service_at - instance.asked_at
        served = self._environment.now - instance.in_service_at
        self.billed_seconds += served + start * self._assumptions.billed_share_of_cold_start
