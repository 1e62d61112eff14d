import pickle
import zipfile

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from screener.errors import InvalidPack
from screener.weights import check_weights


def model_with(tensor: TensorProto) -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
        [tensor],
    )
    return helper.make_model(graph)


@pytest.fixture
def weight() -> TensorProto:
    return numpy_helper.from_array(np.array([1, 2], dtype=np.float32), "w")


@pytest.fixture
def outside() -> TensorProto:
    """A tensor whose values are to be read from a file of the model's choice."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return tensor


def test_a_model_with_its_tensors_inside_is_accepted(tmp_path, weight):
    path = tmp_path / "model.onnx"
    onnx.save(model_with(weight), path)
    check_weights(path)


def test_tensors_in_another_file_are_refused(tmp_path, outside):
    path = tmp_path / "model.onnx"
    path.write_bytes(model_with(outside).SerializeToString())
    with pytest.raises(InvalidPack, match="another file"):
        check_weights(path)


def test_tensors_in_another_file_are_found_inside_a_constant_of_a_branch(tmp_path, outside):
    constant = helper.make_node("Constant", [], ["z"], value=outside)
    branch = helper.make_graph(
        [constant], "branch", [], [helper.make_tensor_value_info("z", TensorProto.FLOAT, [2])]
    )
    node = helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)
    graph = helper.make_graph(
        [node],
        "outer",
        [helper.make_tensor_value_info("x", TensorProto.BOOL, [])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
    )
    path = tmp_path / "model.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    with pytest.raises(InvalidPack, match="another file"):
        check_weights(path)


def test_a_pickle_in_place_of_onnx_is_refused(tmp_path):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path = tmp_path / "model.onnx"
        path.write_bytes(pickle.dumps({"weights": [1, 2, 3]}, protocol))
        with pytest.raises(InvalidPack, match="not an ONNX model"):
            check_weights(path)


def test_a_torch_archive_in_place_of_onnx_is_refused(tmp_path):
    path = tmp_path / "model.onnx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps([1]))
    with pytest.raises(InvalidPack, match="not an ONNX model"):
        check_weights(path)


def test_a_model_cut_short_before_the_end_of_its_graph_is_refused(tmp_path, weight):
    model = model_with(weight)
    whole = model.SerializeToString()
    del model.opset_import[:]  # what follows the graph
    path = tmp_path / "model.onnx"
    for length in range(len(model.SerializeToString())):
        path.write_bytes(whole[:length])
        with pytest.raises(InvalidPack, match="not an ONNX model"):
            check_weights(path)


def test_endless_nesting_is_refused(tmp_path):
    # By hand: the library itself refuses to write such a model.
    graph = b""
    for _ in range(40):
        attribute = counted(6, graph)
        node = counted(5, attribute)
        graph = counted(1, node)
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x0a" + counted(7, graph))
    with pytest.raises(InvalidPack, match="nested"):
        check_weights(path)


def counted(number: int, payload: bytes) -> bytes:
    """A length-prefixed Protobuf field."""
    length, prefix = len(payload), bytearray()
    while length > 127:
        prefix.append(length & 127 | 128)
        length >>= 7
    return bytes([number << 3 | 2, *prefix, length]) + payload


@pytest.mark.parametrize(
    "name", ["model.pt", "model.pth", "weights.npy", "lib.so", "run.py", "x.pkl"]
)
def test_a_kind_that_packs_do_not_hold_is_refused(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"anything")
    with pytest.raises(InvalidPack, match="packs hold only"):
        check_weights(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x06\x00", b"\x80\x04]\x94.", b"PK\x03\x04aaaaaaaaaaaa", b"\x7fELF" + b"\0" * 60],
)
def test_a_bin_that_is_not_ctranslate2_is_refused(tmp_path, content):
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    with pytest.raises(InvalidPack, match="not a CTranslate2 model"):
        check_weights(path)


@pytest.mark.parametrize("content", [b"", b"{", b"\x80\x04]\x94.", b"[" * 100_000])
def test_json_must_parse(tmp_path, content):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(InvalidPack, match=r"config\.json"):
        check_weights(path)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a\0b"])
def test_text_must_be_text(tmp_path, content):
    path = tmp_path / "LICENSE"
    path.write_bytes(content)
    with pytest.raises(InvalidPack, match="LICENSE"):
        check_weights(path)
