"""What runs the networks: the provider, its threads and its batch size, chosen at start.

On CPU one thread per network call and one call per core at a time is fastest: small networks
gain little from splitting a layer over cores. A GPU wants the opposite, one call with a large
batch.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import onnxruntime

from model_servers.serving.logs import FIELDS
from model_servers.serving.session import CPU, CUDA, TENSORRT, Rewriting, Session
from model_servers.serving.settings import ProviderChoice, ServerSettings
from screener.errors import ConfigurationError

log = logging.getLogger(__name__)

_GPU_BATCH_SIZE = 32

_PREFERENCE = {
    # TensorRT compiles for minutes on the first start, so it is never chosen unasked.
    ProviderChoice.AUTO: (CUDA, CPU),
    ProviderChoice.CPU: (CPU,),
    ProviderChoice.CUDA: (CUDA,),
    ProviderChoice.TENSORRT: (TENSORRT,),
}


class Runtime(NamedTuple):
    """The choice, in force for the life of the process."""

    provider: str
    """As ONNX Runtime names it."""
    workers: int
    """Threads for decoding and, on CPU, for the networks."""
    batch_size: int
    """Frames per network call."""

    @property
    def on_gpu(self) -> bool:
        return self.provider != CPU

    def session(
        self,
        path: Path,
        *,
        rewritings: Sequence[Rewriting] = (),
        cpu_rewritings: Sequence[Rewriting] = (),
    ) -> Session:
        """Load an ONNX network.

        Args:
            path: its file.
            rewritings: change the network before it is loaded.
            cpu_rewritings: further ones that help on a CPU only.

        Raises:
            InvalidPack: ONNX Runtime cannot load the file.
            ConfigurationError: the provider does not work on this machine.
        """
        chosen = [*rewritings, *(() if self.on_gpu else cpu_rewritings)]
        return Session(path, self.provider, chosen)


def choose_runtime(settings: ServerSettings) -> Runtime:
    """Pick the provider and log the choice.

    Raises:
        ConfigurationError: the asked provider is not part of the installed ONNX Runtime.
    """
    available = onnxruntime.get_available_providers()
    if CUDA in available:
        # CUDA and cuDNN lie in wheels, where the loader does not look by itself.
        onnxruntime.preload_dlls()
    wanted = _PREFERENCE[settings.screener_provider]
    provider = next((name for name in wanted if name in available), None)
    if provider is None:
        raise ConfigurationError(
            f"SCREENER_PROVIDER={settings.screener_provider}: needs one of {wanted}, "
            f"this ONNX Runtime has {available}"
        )
    default_batch = 1 if provider == CPU else _GPU_BATCH_SIZE
    runtime = Runtime(
        provider=provider,
        workers=settings.workers,
        batch_size=settings.screener_batch_size or default_batch,
    )
    log.info("runtime chosen", extra={FIELDS: {**runtime._asdict(), "available": available}})
    return runtime
