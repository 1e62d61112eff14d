"""How many instances an endpoint should have. Pure: state and time in, decision out."""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from local.async_inference.instance import ModelServer
from local.async_inference.spec import EndpointSpec

START_ATTEMPTS = 3
"""Starts that may fail in a row before the queued requests fail."""
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 30.0


class InstanceState(Enum):
    STARTING = "starting"
    IN_SERVICE = "in service"
    RETIRING = "retiring"
    """Takes no more requests, finishes those in hand, then stops."""


@dataclass(eq=False)
class Instance:
    """What the endpoint knows of one instance. Times are on the monotonic clock."""

    state: InstanceState = InstanceState.STARTING
    server: ModelServer | None = None
    busy: int = 0
    """Requests in hand."""
    idle_since: float = field(default_factory=time.monotonic)
    abandoned: bool = False
    """It may still work on something that nobody waits for: no grace when it stops."""

    @property
    def in_service(self) -> bool:
        return self.state is InstanceState.IN_SERVICE

    @property
    def idle(self) -> bool:
        return self.in_service and self.busy == 0


@dataclass(frozen=True)
class Decision:
    start: int
    retire: list[Instance]
    desired: int
    """The instance count that the endpoint is on its way to."""
    next_seconds: float | None
    """When idle instances may have to go; None when only other changes matter."""


def decide(spec: EndpointSpec, queued: int, instances: Iterable[Instance], now: float) -> Decision:
    """One instance per `max_concurrent_invocations` requests, within the limits.

    An instance goes when it is more than that, holds no request, and was idle for
    `scale_in_after_seconds`. The measure is requests in hand, not the backlog, which is empty
    as soon as the last request is picked up.
    """
    live = [instance for instance in instances if instance.state is not InstanceState.RETIRING]
    work = queued + sum(instance.busy for instance in live)
    wanted = math.ceil(work / spec.max_concurrent_invocations)
    wanted = max(spec.min_instances, min(spec.max_instances, wanted))
    surplus = max(0, len(live) - wanted)
    idle = sorted((instance for instance in live if instance.idle), key=lambda one: one.idle_since)
    idle_ends = [instance.idle_since + spec.scale_in_after_seconds for instance in idle]
    retire = [one for one, end in zip(idle, idle_ends, strict=True) if end <= now][:surplus]
    return Decision(
        start=max(0, wanted - len(live)),
        retire=retire,
        desired=max(wanted, len(live) - len(retire)),
        next_seconds=min((end - now for end in idle_ends if end > now), default=None),
    )


class StartRecord:
    """Failed starts in a row, and the growing pause after each."""

    def __init__(self) -> None:
        self.failures = 0
        self._pause_until = 0.0

    @property
    def exhausted(self) -> bool:
        return self.failures >= START_ATTEMPTS

    def pause_seconds(self, now: float) -> float:
        """Until the next start may be tried; 0 when it may be now."""
        return max(0.0, self._pause_until - now)

    def failed(self, now: float) -> None:
        pause = _FIRST_PAUSE_SECONDS * 2 ** min(self.failures, 10)
        self._pause_until = now + min(pause, _LONGEST_PAUSE_SECONDS)
        self.failures += 1

    def succeeded(self) -> None:
        self.failures = 0
        self._pause_until = 0.0

    def end_pause(self) -> None:
        """Somebody may have mended what was wrong: one more attempt, at once."""
        self._pause_until = 0.0
