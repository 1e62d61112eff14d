"""Decisions of Application Auto Scaling for one endpoint: pure, one data point at a time.

Three policies, as endpoints/async_endpoint.yaml attaches them:

wake    step scaling: `HasBacklogWithoutCapacity` is 1, so add the first instances
grow    target tracking on `ApproximateBacklogSizePerInstance`; scaling in only when asked to
shrink  step scaling: few enough requests per instance for long enough, so remove a share

SageMaker takes no scaling action while the endpoint is being updated, that is while an
instance is starting: `busy` says so, and the alarms keep counting meanwhile.
"""

import math
from typing import NamedTuple

from bench.simulation.assumptions import Scaling, TargetTracking


class Datapoint(NamedTuple):
    """One minute of CloudWatch metrics."""

    backlog: int
    peak_backlog: int
    """Highest within the minute (statistic Maximum)."""
    instances: int
    """In service; starting ones do not count."""

    @property
    def backlog_per_instance(self) -> float:
        # The metric is published at zero instances too: AWS says that without a wake policy an
        # endpoint leaves zero once the backlog exceeds the target.
        return self.backlog / max(1, self.instances)

    @property
    def peak_per_instance(self) -> float:
        return self.peak_backlog / max(1, self.instances)

    @property
    def has_backlog_without_capacity(self) -> bool:
        return self.backlog > 0 and self.instances == 0


class Autoscaler:
    """Remembers alarm streaks and cooldowns of one endpoint.

    Args:
        scaling: what the stack sets.
        tracking: what AWS fixes.
        max_instances: the scalable target's upper bound.
    """

    def __init__(self, scaling: Scaling, tracking: TargetTracking, max_instances: int) -> None:
        self._scaling = scaling
        self._tracking = tracking
        self._max_instances = max_instances
        self._without_capacity = 0
        self._above = 0
        self._below = 0
        self._surplus = 0
        self._no_scale_out_before = -math.inf
        self._no_scale_in_before = -math.inf

    def decide(self, now: float, point: Datapoint, *, busy: bool) -> int:
        """Desired instances after this data point; `point.instances` when nothing is to change."""
        self._count(point)
        if busy:
            return point.instances
        desired = self._scale_out(now, point)
        if desired > point.instances:
            self._no_scale_out_before = now + self._scaling.scale_out_cooldown_seconds
            return desired
        desired = self._scale_in(now, point)
        if desired < point.instances:
            self._no_scale_in_before = now + self._scaling.scale_in_cooldown_seconds
        return desired

    def _count(self, point: Datapoint) -> None:
        scaling = self._scaling
        metric, target = point.backlog_per_instance, scaling.target_backlog_per_instance
        self._without_capacity = _streak(self._without_capacity, point.has_backlog_without_capacity)
        self._above = _streak(self._above, metric > target)
        # This alarm has been on for hours when an endpoint wakes for a single request, which is
        # why target tracking removes the new instance as soon as the request is done.
        self._below = _streak(self._below, metric < target * self._tracking.scale_in_below)
        self._surplus = _streak(
            self._surplus, point.instances > 0 and point.peak_per_instance < scaling.shrink_below
        )

    def _scale_out(self, now: float, point: Datapoint) -> int:
        desired = point.instances
        if now < self._no_scale_out_before:
            return desired
        if self._without_capacity >= self._scaling.wake_periods:
            desired = max(desired, self._scaling.wake_instances)
        if self._above >= self._tracking.scale_out_periods:
            desired = max(desired, self._proportional(point))
        return max(point.instances, min(desired, self._max_instances))

    def _scale_in(self, now: float, point: Datapoint) -> int:
        scaling, instances = self._scaling, point.instances
        if now < self._no_scale_in_before or instances <= scaling.min_instances:
            return instances
        desired = instances
        if scaling.shrink_periods is not None and self._surplus >= scaling.shrink_periods:
            # PercentChangeInCapacity rounds towards zero, but removes one at least.
            desired = instances - max(1, math.floor(instances * scaling.shrink_share))
        if scaling.tracking_scales_in and self._below >= self._tracking.scale_in_periods:
            gradual = instances - math.ceil(instances * self._tracking.largest_scale_in)
            desired = min(desired, max(gradual, self._proportional(point)))
        return max(desired, scaling.min_instances)

    def _proportional(self, point: Datapoint) -> int:
        return math.ceil(point.backlog / self._scaling.target_backlog_per_instance)


def _streak(count: int, breaching: bool) -> int:
    return count + 1 if breaching else 0
