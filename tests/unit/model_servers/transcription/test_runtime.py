import pytest

from model_servers.serving.runtime import CPU
from model_servers.serving.settings import ProviderChoice, ServerSettings
from model_servers.transcription.runtime import choose_runtime
from screener.errors import ConfigurationError


@pytest.mark.parametrize("choice", [ProviderChoice.AUTO, ProviderChoice.CPU])
def test_without_a_gpu_it_runs_on_the_cores(choice: ProviderChoice) -> None:
    runtime = choose_runtime(ServerSettings(screener_provider=choice, screener_workers=3))
    if choice is ProviderChoice.AUTO and runtime.on_gpu:
        pytest.skip("this machine has a CUDA device")
    assert (runtime.provider, runtime.workers) == (CPU, 3)


def test_tensorrt_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="SCREENER_PROVIDER=tensorrt"):
        choose_runtime(ServerSettings(screener_provider=ProviderChoice.TENSORRT))


def test_the_batch_size_can_be_set() -> None:
    settings = ServerSettings(screener_provider=ProviderChoice.CPU, screener_batch_size=7)
    assert choose_runtime(settings).batch_size == 7
