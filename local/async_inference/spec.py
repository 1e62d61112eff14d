"""What an endpoint is, as the template declares it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class EndpointSpec:
    """An endpoint and its scaling.

    Raises:
        ValueError: the numbers do not fit together.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    output_uri: str
    """`s3://bucket/prefix` for outputs."""
    failure_uri: str
    min_instances: int = 0
    max_instances: int = 1
    max_concurrent_invocations: int = 1
    """Requests that one instance takes at a time."""
    scale_in_after_seconds: float = 60
    startup_timeout_seconds: float = 120
    success_topic_arn: str | None = None
    error_topic_arn: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.min_instances <= self.max_instances or self.max_instances < 1:
            raise ValueError(
                f"{self.name}: {self.min_instances} to {self.max_instances} instances is no range"
            )
        if self.max_concurrent_invocations < 1:
            raise ValueError(f"{self.name}: max_concurrent_invocations must be at least 1")
