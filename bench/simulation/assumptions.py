"""The numbers that the simulation runs on, typed. `assumptions.yaml` gives each one's source."""

import math
import random
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field

from screener.model import Message
from screener.observations import Analyzer

SHIPPED = Path(__file__).with_name("assumptions.yaml")
_Z95 = 1.6448536269514722  # 95th percentile of the standard normal distribution

Seconds = Annotated[float, Field(ge=0)]
Usd = Annotated[float, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


class Video(Message):
    duration_seconds: Annotated[float, Field(gt=0)]
    frames_per_second: Annotated[float, Field(gt=0)]


class Steps(Message):
    """Time of the states around the analyses."""

    intake_seconds: Seconds
    validate_seconds: Seconds
    extract_seconds: Seconds
    aggregate_seconds: Seconds
    max_running_executions: dict[int, Positive]
    """By videos per day."""


class EndpointModel(Message):
    """How long one request takes on one instance, and what the instance costs."""

    instance_type: str
    usd_per_hour: Usd
    unit: Literal["frame", "second"]
    seconds_per_unit: Seconds
    overhead_seconds: Seconds

    def request_seconds(self, video: Video) -> float:
        units = video.duration_seconds
        if self.unit == "frame":
            units *= video.frames_per_second
        return self.overhead_seconds + units * self.seconds_per_unit


class ColdStart(Message):
    """A lognormal distribution; equal median and 95th percentile make it a constant."""

    median_seconds: Annotated[float, Field(gt=0)]
    p95_seconds: Annotated[float, Field(gt=0)]

    def draw(self, chance: random.Random) -> float:
        sigma = math.log(self.p95_seconds / self.median_seconds) / _Z95
        return self.median_seconds * math.exp(sigma * chance.gauss(0, 1))


class Metrics(Message):
    period_seconds: Annotated[float, Field(gt=0)]
    delay_seconds: Seconds
    backlog_counts_in_flight: bool


class TargetTracking(Message):
    """Behaviour of target tracking that AWS fixes."""

    scale_out_periods: Positive
    scale_in_periods: Positive
    scale_in_below: Annotated[float, Field(gt=0, le=1)]
    largest_scale_in: Annotated[float, Field(gt=0, le=1)]


class Scaling(Message):
    """What a stack sets for each endpoint."""

    target_backlog_per_instance: Annotated[float, Field(gt=0)]
    scale_out_cooldown_seconds: Seconds
    scale_in_cooldown_seconds: Seconds
    wake_periods: Positive
    wake_instances: Positive
    tracking_scales_in: bool
    shrink_below: Annotated[float, Field(ge=0)]
    """Requests per instance."""
    shrink_periods: Positive | None
    """None: no shrink policy."""
    shrink_share: Annotated[float, Field(gt=0, le=1)]
    min_instances: Annotated[int, Field(ge=0)]
    max_instances: dict[int, Positive]
    """By videos per day."""


class Prices(Message):
    state_transition: Usd
    lambda_gb_second: Usd
    lambda_request: Usd
    s3_put: Usd
    s3_get: Usd


class Orchestration(Message):
    """What one video uses of the services around the endpoints."""

    extract_memory_gb: Annotated[float, Field(gt=0)]
    other_memory_gb: Annotated[float, Field(gt=0)]
    collect_seconds: Seconds
    transitions_per_video: Positive
    transitions_per_request: Positive
    transitions_per_poll: Positive
    s3_puts_per_video: Positive
    s3_gets_per_video: Positive


class Baselines(Message):
    """Published cost of a 10-minute video."""

    processing_jobs: Usd
    managed_services: Usd


class Assumptions(Message):
    seed: int
    videos_per_day: list[Positive]
    simulated_days: dict[int, Positive]
    hourly_weights: Annotated[
        list[Annotated[float, Field(ge=0)]], Field(min_length=24, max_length=24)
    ]
    video: Video
    steps: Steps
    endpoints: dict[Analyzer, EndpointModel]
    cold_start: ColdStart
    billed_share_of_cold_start: Annotated[float, Field(ge=0, le=1)]
    metrics: Metrics
    target_tracking: TargetTracking
    scaling: Scaling
    alternatives: dict[str, dict[str, Any]]
    prices_usd: Prices
    orchestration: Orchestration
    baselines_usd: Baselines

    def with_scaling(self, alternative: str) -> "Assumptions":
        """The same stack, scaled as one of the alternatives says."""
        changed = {**self.scaling.model_dump(), **self.alternatives[alternative]}
        return self.model_copy(update={"scaling": Scaling.model_validate(changed)})

    def with_backlog_of_queued_only(self) -> "Assumptions":
        """The same stack, where a request leaves the backlog as soon as it is picked up."""
        metrics = self.metrics.model_copy(update={"backlog_counts_in_flight": False})
        return self.model_copy(update={"metrics": metrics})


def load(path: Path = SHIPPED) -> Assumptions:
    """Read an assumptions file.

    Raises:
        pydantic.ValidationError: names every number that is missing or impossible.
    """
    return Assumptions.model_validate(yaml.safe_load(path.read_text("utf-8")))
