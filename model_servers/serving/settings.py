"""What a model server reads from its environment."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field

from screener.settings import Settings

SAGEMAKER_MODEL_FOLDER = Path("/opt/ml/model")


class ProviderChoice(StrEnum):
    """What runs the models; `auto` takes the fastest that this machine has."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"


class ServerSettings(Settings):
    """Environment of one model server. Field `screener_packs` reads `SCREENER_PACKS`."""

    sagemaker_bind_to_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    screener_host: str = "127.0.0.1"
    """Address to listen on; the images set 0.0.0.0, a laptop should not."""
    screener_packs: str = ""
    """Pack folders joined by `os.pathsep`; empty: every pack below /opt/ml/model."""
    screener_provider: ProviderChoice = ProviderChoice.AUTO
    screener_workers: Annotated[int, Field(ge=0, le=256)] = 0
    """Threads that decode frames and, on CPU, run the models; 0: one per usable core."""
    screener_batch_size: Annotated[int, Field(ge=0, le=1024)] = 0
    """Inputs per call of a network; 0: what the provider is fastest with."""
    screener_max_body_bytes: Annotated[int, Field(gt=0)] = 1 << 30
    """Largest request body. SageMaker Async Inference itself stops at 1 GB."""
    screener_max_waiting: Annotated[int, Field(ge=0)] = 64
    """Requests that may wait while one is worked on."""
    screener_body_timeout_seconds: Annotated[float, Field(gt=0)] = 60.0
    """Longest pause between two pieces of a request body."""
    screener_log_level: Annotated[str, Field(pattern=r"^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"

    @property
    def pack_folders(self) -> list[Path]:
        """The packs to load, in the order they are named."""
        if self.screener_packs:
            return [Path(part) for part in self.screener_packs.split(os.pathsep) if part]
        return sorted(path.parent for path in SAGEMAKER_MODEL_FOLDER.glob("*/pack.json"))

    @property
    def workers(self) -> int:
        return self.screener_workers or len(os.sched_getaffinity(0))
