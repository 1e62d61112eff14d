"""No GPU here: a stand-in for ONNX Runtime behaves as its CUDA arena was seen to."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest

from model_servers.serving.errors import OutOfMemory
from model_servers.serving.memory import FittingBatches
from model_servers.serving.session import CPU, CUDA, Rewriting, Session
from screener.errors import ConfigurationError, InvalidPack
from tests.model_packs import package_folder

NETWORK = package_folder("nudenet") / "320n.onnx"


class LeakingSession:
    """Doubles its input; what a failed run held stays lost to this session."""

    made = 0

    def __init__(
        self, _path: str, _options: object, *, providers: list[tuple[str, object]]
    ) -> None:
        type(self).made += 1
        self._providers = [name for name, _ in providers]
        self._room = 4

    def get_providers(self) -> list[str]:
        return self._providers

    def get_inputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name="x")]

    get_outputs = get_inputs

    def run(self, _names: None, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        if len(feed["x"]) > self._room:
            self._room = 0
            raise RuntimeError("bfc_arena.cc: Failed to allocate memory for requested buffer")
        return [2 * feed["x"]]


def test_a_session_that_ran_out_of_gpu_memory_is_made_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(onnxruntime, "InferenceSession", LeakingSession)
    monkeypatch.setattr(LeakingSession, "made", 0)
    session = Session(Path("network.onnx"), CUDA)
    batches = FittingBatches(16, fixed=True)

    def predict(items: list[float]) -> list[float]:
        [output] = session.run({"x": np.array(items)})
        return list(output)

    assert batches.run(predict, [1.0, 2.0, 3.0, 4.0, 5.0]) == [2, 4, 6, 8, 10]
    assert batches.size == 4
    assert LeakingSession.made == 3  # the first, and one after each of 16 and 8


def test_without_a_gpu_the_session_stays_and_the_error_is_the_runtimes_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(onnxruntime, "InferenceSession", LeakingSession)
    session = Session(Path("network.onnx"), CPU)
    with pytest.raises(RuntimeError, match="bfc_arena") as caught:
        session.run({"x": np.zeros(5)})
    assert not isinstance(caught.value, OutOfMemory)


def test_a_real_network_gives_its_outputs_in_order() -> None:
    session = Session(NETWORK, CPU)
    feed = {session.inputs[0].name: np.zeros((1, 3, 320, 320), np.float32)}
    assert [output.shape for output in session.run(feed)] == [(1, 22, 2100)]
    assert len(session.outputs) == 1


def set_batch_axis(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "rewritten"


@pytest.mark.parametrize("rewritings", [[], [set_batch_axis]], ids=["as it is", "rewritten"])
@pytest.mark.parametrize("kept", [0, 1, 1000, 1_000_000])
def test_a_file_that_is_no_network_is_an_invalid_pack(
    tmp_path: Path, kept: int, rewritings: list[Rewriting]
) -> None:
    path = tmp_path / "network.onnx"
    path.write_bytes(NETWORK.read_bytes()[:kept])
    with pytest.raises(InvalidPack, match=r"network\.onnx"):
        Session(path, CPU, rewritings)


def test_a_rewriting_changes_the_network_and_not_the_file() -> None:
    before = NETWORK.read_bytes()
    session = Session(NETWORK, CPU, [set_batch_axis])
    assert session.inputs[0].shape[0] == "rewritten"
    assert NETWORK.read_bytes() == before


def test_a_provider_that_does_not_start_here_is_named() -> None:
    with pytest.raises((ConfigurationError, InvalidPack), match="CUDA"):
        Session(NETWORK, CUDA)
