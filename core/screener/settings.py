"""Settings: read once from the environment, typed, failing with the setting's name."""

from functools import cache
from typing import Self

from pydantic import ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from screener.errors import ConfigurationError
from screener.model import Message
from screener.observations import Analyzer


class Settings(BaseSettings):
    """Base of every function's settings. Field `work_bucket` reads `WORK_BUCKET`.

    None has a default: template.yaml gives every one, so that a value is written down once.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    @classmethod
    def load(cls) -> Self:
        """Read and check the environment; the result is kept for the life of the process.

        Raises:
            ConfigurationError: names every setting that is missing or wrong.
        """
        return _load(cls)  # type: ignore[return-value]


@cache
def _load(cls: type[Settings]) -> Settings:
    try:
        return cls()
    except ValidationError as cause:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in error['loc']).upper()}: {error['msg']}"
            for error in cause.errors()
        )
        raise ConfigurationError(f"settings of {cls.__name__}: {wrong}") from cause


class WorkSettings(Settings):
    """Settings shared by every function that reads or writes the work bucket."""

    work_bucket: str


class DeployedAnalyzer(Message):
    """One entry of the ANALYZERS setting."""

    endpoint: str = ""
    """Endpoint name; empty when this stack does not have the analyzer."""
    packs: str = ""
    """s3:// prefix of the packs, whose last path segment is `identity.packs_digest`."""
    instance_type: str = ""
    """Which hourly price applies; "local" on a laptop."""

    @property
    def deployed(self) -> bool:
        return bool(self.endpoint and self.packs)

    @property
    def packs_digest(self) -> str:
        return self.packs.rstrip("/").rpartition("/")[2]


class AnalyzersSettings(WorkSettings):
    """Adds the ANALYZERS setting: JSON, analyzer name -> `DeployedAnalyzer`."""

    analyzers: dict[Analyzer, DeployedAnalyzer]

    @field_validator("analyzers", mode="after")
    @classmethod
    def _all_named(
        cls, value: dict[Analyzer, DeployedAnalyzer]
    ) -> dict[Analyzer, DeployedAnalyzer]:
        return {analyzer: value.get(analyzer, DeployedAnalyzer()) for analyzer in Analyzer}
