"""What a stack costs: the arithmetic, against hand-made figures and a small simulation."""

import random

import pytest

from bench.simulation import assumptions as simulated
from local.operate.cost import Assumptions, Load, estimate
from local.operate.prices import DEFAULT_INSTANCE, SPEEDS, Prices
from local.operate.templates import ROOT, read_template
from screener.errors import ConfigurationError
from screener.observations import Analyzer

ONLY_MODERATION = {Analyzer.MODERATION: "ml.g4dn.xlarge"}


def test_busy_time_follows_frames_for_vision_and_seconds_for_speech() -> None:
    slow = estimate(Load(videos_per_day=10, minutes=10, frames_per_second=1)).endpoints
    fast = estimate(Load(videos_per_day=10, minutes=10, frames_per_second=2)).endpoints
    assert slow[Analyzer.MODERATION].busy_seconds == pytest.approx(5 + 600 * 0.021)
    assert fast[Analyzer.MODERATION].busy_seconds == pytest.approx(5 + 1200 * 0.021)
    assert fast[Analyzer.TRANSCRIPTION] == slow[Analyzer.TRANSCRIPTION]


def test_a_long_video_is_several_requests() -> None:
    endpoint = estimate(Load(videos_per_day=10, minutes=31)).endpoints[Analyzer.OBJECTS]
    assert endpoint.busy_seconds == pytest.approx(3 * 5 + 31 * 60 * 0.035)


def test_rare_videos_pay_for_a_whole_waking_and_a_whole_idle_time() -> None:
    load = Load(videos_per_day=0.01, minutes=1, instance_types=ONLY_MODERATION)
    endpoint = estimate(load).endpoints[Analyzer.MODERATION]
    assert endpoint.waking_seconds == pytest.approx(300, rel=0.01)
    assert endpoint.idle_seconds == pytest.approx(720, rel=0.01)


def test_dense_videos_pay_for_hardly_any() -> None:
    load = Load(videos_per_day=8_640, minutes=1, instance_types=ONLY_MODERATION)
    endpoint = estimate(load).endpoints[Analyzer.MODERATION]
    assert endpoint.waking_seconds == pytest.approx(0, abs=1e-6)
    assert endpoint.idle_seconds == pytest.approx(10, rel=0.01)


@pytest.mark.parametrize("videos_per_day", [5, 50, 500])
def test_idle_and_waking_agree_with_a_simulation_of_random_uploads(videos_per_day: float) -> None:
    assumed = Assumptions()
    load = Load(videos_per_day=videos_per_day, minutes=1, instance_types=ONLY_MODERATION)
    endpoint = estimate(load, assumed).endpoints[Analyzer.MODERATION]
    chance = random.Random(7)
    gaps = [chance.expovariate(videos_per_day / 86_400) for _ in range(20_000)]
    idle = [min(gap, assumed.scale_in_after_seconds) for gap in gaps]
    woken = [gap > assumed.scale_in_after_seconds for gap in gaps]
    assert endpoint.idle_seconds == pytest.approx(sum(idle) / len(gaps), rel=0.02)
    assert endpoint.waking_seconds == pytest.approx(300 * sum(woken) / len(gaps), rel=0.05, abs=1)


def test_a_month_is_what_stands_still_plus_every_video() -> None:
    result = estimate(Load(videos_per_day=100, minutes=10))
    assert result.month_usd == pytest.approx(
        result.idle_month_usd + 100 * 30.4 * result.per_video_usd
    )
    assert result.busy_per_video_usd < result.per_video_usd
    assert result.idle_month["GPU instances"] == 0


def test_a_private_network_costs_its_interface_endpoints() -> None:
    public = estimate(Load(videos_per_day=1, minutes=1))
    private = estimate(Load(videos_per_day=1, minutes=1, private_network=True))
    assert private.idle_month_usd - public.idle_month_usd == pytest.approx(4 * 0.01 * 730)


def test_an_instance_type_without_a_price_is_refused_by_name() -> None:
    load = Load(videos_per_day=1, minutes=1, instance_types={Analyzer.FACES: "ml.x9.huge"})
    with pytest.raises(ConfigurationError, match=r"'ml\.x9\.huge'.*ml\.g4dn\.xlarge"):
        estimate(load)


def test_the_interface_endpoints_are_those_of_the_network_template() -> None:
    network = read_template(ROOT / "network/private_network.yaml")["Resources"].values()
    interfaces = [
        len(one["Properties"]["SubnetIds"])
        for one in network
        if one["Properties"].get("VpcEndpointType") == "Interface"
    ]
    assert sum(interfaces) == Assumptions().interface_endpoints


def alarm_metrics(path: str) -> int:
    """Metrics that the alarms of one template are billed for."""
    count = 0
    for resource in read_template(ROOT / path)["Resources"].values():
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            metrics = resource["Properties"].get("Metrics")
            looked_at = sum("MetricStat" in one for one in metrics) if metrics else 1
            band = metrics and any("ANOMALY" in one.get("Expression", "") for one in metrics)
            count += looked_at + (2 if band else 0)
        elif "TargetTrackingScalingPolicyConfiguration" in resource["Properties"]:
            count += 2  # target tracking makes two alarms of its own
    return count


def test_the_alarms_are_those_of_the_templates() -> None:
    counted = alarm_metrics("operations/alarms.yaml") + 4 * alarm_metrics(
        "endpoints/async_endpoint.yaml"
    )
    assert counted == pytest.approx(Assumptions().alarm_metrics, rel=0.1)


def test_speeds_and_prices_are_those_of_the_simulation() -> None:
    numbers = simulated.load(simulated.SHIPPED)
    for analyzer, model in numbers.endpoints.items():
        speed = SPEEDS[analyzer]
        assert (speed.unit, speed.seconds_per_unit, speed.overhead_seconds) == (
            model.unit,
            model.seconds_per_unit,
            model.overhead_seconds,
        )
        assert DEFAULT_INSTANCE[analyzer] == model.instance_type
    assert Prices().state_transition == numbers.prices_usd.state_transition
    assert Prices().lambda_gb_second == numbers.prices_usd.lambda_gb_second
