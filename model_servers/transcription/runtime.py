"""What runs Whisper: CTranslate2 on an NVIDIA GPU, or on the CPU's cores."""

import logging

import ctranslate2  # type: ignore[import-untyped]

from model_servers.serving.logs import FIELDS
from model_servers.serving.runtime import Runtime
from model_servers.serving.session import CPU, CUDA
from model_servers.serving.settings import ProviderChoice, ServerSettings
from screener.errors import ConfigurationError

log = logging.getLogger(__name__)

_CPU_BATCH, _GPU_BATCH = 4, 16
"""Clips per call. More on a CPU only computes more padding."""


def choose_runtime(settings: ServerSettings) -> Runtime:
    """Pick the device and log the choice.

    Raises:
        ConfigurationError: a GPU is asked for that CTranslate2 does not find, or TensorRT,
            which it does not have.
    """
    devices = ctranslate2.get_cuda_device_count()
    choice = settings.screener_provider
    if choice is ProviderChoice.TENSORRT or (choice is ProviderChoice.CUDA and not devices):
        raise ConfigurationError(
            f"SCREENER_PROVIDER={choice}: CTranslate2 runs on cpu or cuda, "
            f"and finds {devices} CUDA devices"
        )
    on_gpu = devices > 0 and choice is not ProviderChoice.CPU
    runtime = Runtime(
        provider=CUDA if on_gpu else CPU,
        workers=settings.workers,
        batch_size=settings.screener_batch_size or (_GPU_BATCH if on_gpu else _CPU_BATCH),
    )
    log.info("runtime chosen", extra={FIELDS: {**runtime._asdict(), "cuda_devices": devices}})
    return runtime
