"""What AWS charges, as far as Screener uses it, and the speeds that costs are computed from.

Prices: AWS price pages, us-east-1, on demand, February 2026. Prices of instances are in
`screener.pricing`, where the document's costs come from as well.
"""

from typing import Annotated, Literal

from pydantic import Field

from screener.model import Message
from screener.observations import Analyzer

Usd = Annotated[float, Field(ge=0)]
HOURS_PER_MONTH = 730.0
DAYS_PER_MONTH = 30.4


class Prices(Message):
    """US dollars."""

    kms_key_month: Usd = 1.0
    alarm_metric_month: Usd = 0.10
    """Per metric that an alarm looks at; an anomaly band counts three."""
    custom_metric_month: Usd = 0.30
    dashboard_month: Usd = 3.0
    """The account's first three are free; counted all the same."""
    interface_endpoint_hour: Usd = 0.01
    """Per service and availability zone."""
    lambda_gb_second: Usd = 0.0000133334
    """arm64."""
    lambda_request: Usd = 0.0000002
    state_transition: Usd = 0.000025
    s3_put: Usd = 0.000005
    s3_get: Usd = 0.0000004
    s3_gb_month: Usd = 0.023
    logs_gb: Usd = 0.50
    kms_request: Usd = 0.000003
    dynamodb_write: Usd = 0.000000625


class Speed(Message):
    """How long an endpoint works on one request: overhead + units x seconds per unit."""

    unit: Literal["frame", "second"]
    seconds_per_unit: Annotated[float, Field(gt=0)]
    overhead_seconds: Annotated[float, Field(ge=0)]
    source: str


# On one T4 (ml.g4dn.xlarge), transcription on one A10G (ml.g5.xlarge). Published by others, not
# measured here; the simulation in bench/ uses the same ones.
SPEEDS: dict[Analyzer, Speed] = {
    Analyzer.MODERATION: Speed(
        unit="frame",
        seconds_per_unit=0.021,
        overhead_seconds=5.0,
        source="published, T4: OpenNSFW 6 ms + NudeNet detector 15 ms",
    ),
    Analyzer.FACES: Speed(
        unit="frame",
        seconds_per_unit=0.0667,
        overhead_seconds=5.0,
        source="published, T4: 30 faces/s, at two faces in every frame",
    ),
    Analyzer.TRANSCRIPTION: Speed(
        unit="second",
        seconds_per_unit=0.0218,
        overhead_seconds=2.0,
        source="published: large-v2, fp16, batched, 17 s for 780 s of speech (RTX 3070 Ti)",
    ),
    Analyzer.OBJECTS: Speed(
        unit="frame",
        seconds_per_unit=0.035,
        overhead_seconds=5.0,
        source="published, T4: YOLOv8m 10 ms + CLIP ViT-L/14 25 ms",
    ),
}
DEFAULT_INSTANCE: dict[Analyzer, str] = {
    Analyzer.MODERATION: "ml.g4dn.xlarge",
    Analyzer.FACES: "ml.g4dn.xlarge",
    Analyzer.TRANSCRIPTION: "ml.g5.xlarge",
    Analyzer.OBJECTS: "ml.g4dn.xlarge",
}
