"""What an analysis costs: busy time of its endpoint's instance."""

from collections.abc import Iterable

LOCAL_INSTANCE = "local"
PRICE_LIST = "SageMaker hosting, us-east-1, on demand, February 2026"
HOURLY_USD = {
    LOCAL_INSTANCE: 0.0,
    "ml.m5.large": 0.115,
    "ml.m5.xlarge": 0.23,
    "ml.g4dn.xlarge": 0.736,
    "ml.g5.xlarge": 1.408,
    "ml.g5.2xlarge": 1.515,
    "ml.p3.2xlarge": 3.825,
}
_MS_PER_HOUR = 3_600_000


def cost_usd(instance_type: str, busy_ms: float) -> float | None:
    """Price of the time that an instance worked; None when its price is not listed.

    Waking and idling are the stack's costs, not the video's: they depend on traffic.
    """
    hourly = HOURLY_USD.get(instance_type)
    return None if hourly is None else round(hourly * busy_ms / _MS_PER_HOUR, 6)


def total_usd(costs: Iterable[float | None]) -> float | None:
    """Sum; None when one of them is not known."""
    known = list(costs)
    if any(cost is None for cost in known):
        return None
    return round(sum(cost for cost in known if cost is not None), 6)
