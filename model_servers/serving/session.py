"""One ONNX network on its provider, as the models call it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from model_servers.serving.errors import OutOfMemory
from model_servers.serving.memory import ran_out_of_memory
from screener.errors import ConfigurationError, InvalidPack

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
if TYPE_CHECKING:
    from onnx import ModelProto

Rewriting = Callable[["ModelProto"], None]
"""Changes a network in place, so that it runs faster and answers the same."""

_ERRORS_ONLY = 3  # ONNX Runtime's log level; below it, known quirks of published models are noise
_OPTIONS = {
    # The default tries every algorithm on every new input shape, and videos come in many.
    CUDA: {"cudnn_conv_algo_search": "HEURISTIC"},
}


class Session:
    """An `onnxruntime.InferenceSession` that survives running out of GPU memory.

    ONNX Runtime's arena on a GPU does not get back what a failed run held: on a card with 3 GiB
    to spare, after one batch of 256 that did not fit, not even a single frame did. A new session
    starts with an empty arena.

    Args:
        path: the ONNX file.
        provider: ONNX Runtime's name of it.
        rewritings: applied at every load, in order.

    Raises:
        InvalidPack: ONNX Runtime cannot load the file.
        ConfigurationError: the provider does not work on this machine.
    """

    def __init__(self, path: Path, provider: str, rewritings: Sequence[Rewriting] = ()) -> None:
        self._path = path
        self._rewritings = rewritings
        self._provider = provider
        self._session: onnxruntime.InferenceSession | None = self._load()
        self.inputs: list[Any] = self._session.get_inputs()
        """Name, shape and type of each, as ONNX Runtime describes them."""
        self.outputs: list[Any] = self._session.get_outputs()

    def run(self, feed: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[Any]]:
        """Outputs in the order of `outputs`.

        Raises:
            OutOfMemory: on a GPU; the session is a new one then.
        """
        if self._session is None:
            self._session = self._load()
        try:
            return [np.asarray(output) for output in self._session.run(None, dict(feed))]
        except Exception as cause:
            # ONNX Runtime's exceptions have no base of their own, so the message has to tell.
            if self._provider == CPU or not ran_out_of_memory(cause):
                raise
            reason = str(cause)
        # Not in the handler: until here the exception's traceback holds the old session.
        self._session = None
        raise OutOfMemory(reason)

    def _load(self) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = 1
        names = [CPU] if self._provider == CPU else [self._provider, CUDA, CPU]
        providers = [(name, _OPTIONS.get(name, {})) for name in dict.fromkeys(names)]
        try:
            network = self._rewritten() if self._rewritings else str(self._path)
            session = onnxruntime.InferenceSession(network, options, providers=providers)
        except Exception as cause:
            # ONNX Runtime has no common base for its exceptions below Exception.
            raise InvalidPack(f"{self._path}: ONNX Runtime cannot load it: {cause}") from cause
        if self._provider not in session.get_providers():
            raise ConfigurationError(
                f"SCREENER_PROVIDER: {self._provider} is installed but does not start here"
            )
        return session

    def _rewritten(self) -> bytes:
        # Servers that rewrite nothing do not have it.
        import onnx

        model = onnx.load(self._path, load_external_data=False)
        for rewrite in self._rewritings:
            rewrite(model)
        return bytes(model.SerializeToString())
