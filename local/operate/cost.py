"""What a deployed stack costs: idle, per video, per month. Arithmetic only.

Endpoints are most of it, in three parts: busy seconds; seconds between the last request and
going back to zero; seconds of waking. The last two depend on how far apart videos come. For
uploads at random times (Poisson, rate r) and an endpoint that sleeps after T idle seconds, the
idle time after each video is the shorter of T and the time to the next upload, whose mean is
(1 - exp(-rT)) / r; the next upload finds the endpoint asleep with probability exp(-rT). One
instance per endpoint is assumed; beyond its capacity busy seconds only add up. The simulation
in bench/ drops both simplifications.
"""

import math
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from local.operate.prices import (
    DAYS_PER_MONTH,
    DEFAULT_INSTANCE,
    HOURS_PER_MONTH,
    SPEEDS,
    Prices,
)
from screener import pricing
from screener.errors import ConfigurationError
from screener.model import Message
from screener.observations import Analyzer

SECONDS_PER_DAY = 86_400
SECONDS_PER_HOUR = 3_600

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


class Load(Message):
    """The question."""

    videos_per_day: Positive
    minutes: Positive
    """Length of one video."""
    frames_per_second: Positive = 1.0
    """Frames kept per second of video."""
    instance_types: dict[Analyzer, str] = DEFAULT_INSTANCE
    """Deployed analyzers and what they run on."""
    private_network: bool = False


class Assumptions(Message):
    """What the answer rests on besides prices; every one is printed with it."""

    scale_in_after_seconds: NotNegative = 600 + 120
    """ScaleInAfterMinutes, and two minutes until the alarm has seen it."""
    cold_start_seconds: NotNegative = 300
    """Users report 3 to 10 minutes, billed in full."""
    range_seconds: Positive = 900
    """RangeSeconds: longer videos are several requests per endpoint."""
    extract_seconds_per_minute: NotNegative = 2.5
    """ExtractMedia, per minute of 720p video."""
    extract_gb: NotNegative = 6.9
    other_function_seconds: NotNegative = 12
    """All other functions together, polls included."""
    other_gb: NotNegative = 1.5
    transitions: NotNegative = 60
    """State transitions of a video in one range: 8 and about 13 per request."""
    bundle_bytes_per_frame: NotNegative = 100_000
    media_retention_days: NotNegative = 7
    log_bytes: NotNegative = 60_000
    alarm_metrics: NotNegative = 60
    """Metrics that the alarms of four endpoints and of the stack look at."""
    custom_metrics: NotNegative = 8
    interface_endpoints: NotNegative = 4
    """PrivateNetwork: two services in two availability zones."""


class EndpointCost(Message):
    """Of one endpoint, per video."""

    instance_type: str
    usd_per_hour: NotNegative
    busy_seconds: NotNegative
    idle_seconds: NotNegative
    waking_seconds: NotNegative

    @property
    def busy_usd(self) -> float:
        return self.usd_per_hour * self.busy_seconds / SECONDS_PER_HOUR

    @property
    def total_usd(self) -> float:
        billed = self.busy_seconds + self.idle_seconds + self.waking_seconds
        return self.usd_per_hour * billed / SECONDS_PER_HOUR


class Estimate(Message):
    """The answer, in US dollars."""

    idle_month: dict[str, float]
    """What runs when no video comes, by item."""
    endpoints: dict[Analyzer, EndpointCost]
    other_per_video: dict[str, float]
    """Functions, state machine, storage, by item."""
    videos_per_month: float

    @property
    def idle_month_usd(self) -> float:
        return sum(self.idle_month.values())

    @property
    def busy_per_video_usd(self) -> float:
        """What a video costs when the endpoints are awake and have other work as well."""
        busy = sum(endpoint.busy_usd for endpoint in self.endpoints.values())
        return busy + sum(self.other_per_video.values())

    @property
    def per_video_usd(self) -> float:
        """With its share of waking and idling, without the idle month."""
        endpoints = sum(endpoint.total_usd for endpoint in self.endpoints.values())
        return endpoints + sum(self.other_per_video.values())

    @property
    def month_usd(self) -> float:
        return self.idle_month_usd + self.videos_per_month * self.per_video_usd


def estimate(
    load: Load, assumptions: Assumptions | None = None, prices: Prices | None = None
) -> Estimate:
    """Cost of a load.

    Raises:
        ConfigurationError: the price of an instance type is not listed.
    """
    assumed, price = assumptions or Assumptions(), prices or Prices()
    return Estimate(
        idle_month=_idle_month(load, assumed, price),
        endpoints={
            analyzer: _endpoint(analyzer, instance_type, load, assumed)
            for analyzer, instance_type in load.instance_types.items()
        },
        other_per_video=_other(load, assumed, price),
        videos_per_month=load.videos_per_day * DAYS_PER_MONTH,
    )


def _idle_month(load: Load, assumed: Assumptions, price: Prices) -> dict[str, float]:
    items = {
        "KMS key": price.kms_key_month,
        "alarms": assumed.alarm_metrics * price.alarm_metric_month,
        "metrics": assumed.custom_metrics * price.custom_metric_month,
        "dashboard": price.dashboard_month,
        "GPU instances": 0.0,
    }
    if load.private_network:
        items["interface endpoints"] = (
            assumed.interface_endpoints * price.interface_endpoint_hour * HOURS_PER_MONTH
        )
    return items


def _endpoint(
    analyzer: Analyzer, instance_type: str, load: Load, assumed: Assumptions
) -> EndpointCost:
    hourly = pricing.HOURLY_USD.get(instance_type)
    if hourly is None:
        known = ", ".join(sorted(pricing.HOURLY_USD.keys() - {pricing.LOCAL_INSTANCE}))
        raise ConfigurationError(f"no price for {instance_type!r}; listed are {known}")
    speed = SPEEDS[analyzer]
    seconds = load.minutes * 60
    units = seconds * load.frames_per_second if speed.unit == "frame" else seconds
    rate = load.videos_per_day / SECONDS_PER_DAY
    asleep = math.exp(-rate * assumed.scale_in_after_seconds)
    return EndpointCost(
        instance_type=instance_type,
        usd_per_hour=hourly,
        busy_seconds=_requests(load, assumed) * speed.overhead_seconds
        + units * speed.seconds_per_unit,
        idle_seconds=(1 - asleep) / rate,
        waking_seconds=asleep * assumed.cold_start_seconds,
    )


def _requests(load: Load, assumed: Assumptions) -> int:
    return math.ceil(load.minutes * 60 / assumed.range_seconds)


def _other(load: Load, assumed: Assumptions, price: Prices) -> Mapping[str, float]:
    requests = _requests(load, assumed)
    gb_seconds = (
        assumed.extract_seconds_per_minute * load.minutes * assumed.extract_gb
        + assumed.other_function_seconds * requests * assumed.other_gb
    )
    frames = load.minutes * 60 * load.frames_per_second
    stored_gb_months = (
        frames
        * assumed.bundle_bytes_per_frame
        / 1e9
        * assumed.media_retention_days
        / DAYS_PER_MONTH
    )
    return {
        "functions": gb_seconds * price.lambda_gb_second + 30 * requests * price.lambda_request,
        "state machine": assumed.transitions * requests * price.state_transition,
        "S3 requests": requests * (12 * price.s3_put + 18 * price.s3_get + 30 * price.kms_request),
        "extracted media": stored_gb_months * price.s3_gb_month,
        "logs and table": assumed.log_bytes * requests / 1e9 * price.logs_gb
        + 4 * price.dynamodb_write,
    }
